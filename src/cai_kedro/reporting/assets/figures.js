// Figures are drawn when they come into view, in the colours of the page.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, grid] = ["--ink", "--grid"].map((name) => style.getPropertyValue(name).trim());
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  const lines = { gridcolor: grid, zerolinecolor: grid, linecolor: grid };
  const themedAxes = Object.fromEntries(axes.map((key) => [key, { ...layout[key], ...lines }]));
  const font = { ...layout.font, color: ink, family: "system-ui, sans-serif" };
  return { ...layout, ...themedAxes, font };
}

function draw(plot) {
  const { data, layout } = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  const page = themed(layout);
  // plotly chooses the colour of texts in cells without knowing what shines through them
  const cells = data.map((trace) => (trace.type === "heatmap" ? { ...trace, textfont: { color: page.font.color } } : trace));
  Plotly.react(plot, cells, page, { responsive: true, displayModeBar: false });
  plot.dataset.drawn = "yes";
}

const inView = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      inView.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: "400px" }
);
for (const plot of document.querySelectorAll(".plot")) inView.observe(plot);
dark.addEventListener("change", () => document.querySelectorAll('.plot[data-drawn="yes"]').forEach(draw));

document.getElementById("written").textContent = document.lastModified;
const root = document.getElementById("browser");
if ("DecompressionStream" in window) {
  const browser = new Browser(root);
  if (!browser.follow() && "answers" in totals) browser.open("answers");
} else {
  root.textContent = "This browser is too old to unpack the transcripts (it has no DecompressionStream).";
}
