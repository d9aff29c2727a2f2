// The browser of transcripts: loads a kind when it is first shown, filters, searches, turns pages.

const totals = JSON.parse(document.getElementById("totals").textContent);
const SEARCH_PAUSE = 200; // ms after the last key
const FIXED_LABELS = { query: "search in all texts and ids" };

/** Yield the records of a kind block by block; a block is gzip in base64, and is forgotten once it is read. */
async function* recordBlocks(kind) {
  for (const element of document.querySelectorAll(`script[data-kind="${kind}"]`)) {
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    element.remove();
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    yield await new Response(stream).json();
  }
}

class Browser {
  constructor(root) {
    this.kinds = {};
    this.list = el("div", { className: "list" });
    this.form = el("form", { className: "filters" });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    // a search answers to every key, the rest to a choice
    this.form.addEventListener("input", (event) => event.target.type === "search" && this.changed(event));
    this.form.addEventListener("change", (event) => event.target.type === "search" || this.changed(event));
    this.tabs = el("div", { className: "tabs", role: "tablist" });
    for (const [name, kind] of Object.entries(KINDS)) {
      if (!(name in totals)) continue; // the run made none of this kind
      const text = `${kind.title} (${totals[name].shown.toLocaleString("en")})`;
      const tab = el("button", { type: "button", role: "tab", id: `tab-${name}`, textContent: text });
      tab.addEventListener("click", () => this.open(name));
      this.tabs.append(tab);
    }
    this.pagers = [this.pager(), this.pager()];
    root.append(this.tabs, this.form, this.pagers[0].bar, this.list, this.pagers[1].bar);
    window.addEventListener("hashchange", () => this.follow());
  }

  /** `#chains/<id>` opens that transcript. */
  follow() {
    const [name, id] = location.hash.slice(1).split("/");
    if (!(name in totals)) return false;
    this.open(name, id ? decodeURIComponent(id) : "");
    document.getElementById("transcripts").scrollIntoView();
    return true;
  }

  async open(name, query = null) {
    this.name = name;
    for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.id === `tab-${name}`));
    const known = this.kinds[name];
    this.kinds[name] ??= { records: [], chosen: { query: "", beside: true }, page: 0, size: 10, ready: false };
    if (query !== null) Object.assign(this.kinds[name], { chosen: { query, beside: true }, page: 0 });
    this.ask();
    this.show();
    if (known) return;
    const kind = this.kinds[name];
    for await (const records of recordBlocks(name)) {
      const first = kind.records.length === 0;
      for (const record of records) kind.records.push(record);
      if (this.name === name) first ? this.show() : this.count();
    }
    kind.ready = true;
    if (this.name === name) {
      this.ask();
      this.show();
    }
  }

  /** Fill the form for the kind that is shown. */
  ask() {
    const { records, chosen, size } = this.kinds[this.name];
    const field = (label, input, className = "") => el("label", { className }, label, input);
    const search = el("input", { type: "search", name: "query", value: chosen.query });
    const selects = Object.entries(KINDS[this.name].filters).map(([name, values]) => {
      const options = [...new Set(records.flatMap(values))].filter((value) => value !== null && value !== "").sort();
      const select = el("select", { name }, el("option", { value: "", textContent: "any" }));
      for (const value of options) select.append(el("option", { value, textContent: value }));
      select.value = chosen[name] ?? "";
      return options.length ? field(name, select) : null;
    });
    const beside = el("input", { type: "checkbox", name: "beside", checked: chosen.beside });
    const sizes = el("select", { name: "size" }, [10, 25, 50, 100].map((n) => el("option", { value: n, textContent: n })));
    sizes.value = size;
    this.form.replaceChildren(
      ...[
        field(FIXED_LABELS.query, search, "search"),
        ...selects,
        this.name === "answers" ? field("other policies beside", beside) : null,
        field("on a page", sizes),
      ].filter(Boolean)
    );
  }

  changed(event) {
    const kind = this.kinds[this.name];
    const { name, type, value, checked } = event.target;
    if (name === "size") kind.size = Number(value);
    else kind.chosen[name] = type === "checkbox" ? checked : value;
    kind.page = 0;
    clearTimeout(this.waiting);
    this.list.dataset.state = "waiting";
    this.waiting = setTimeout(() => this.show(), name === "query" ? SEARCH_PAUSE : 0);
  }

  hits() {
    const { records, chosen } = this.kinds[this.name];
    const { keeps, texts } = KINDS[this.name];
    const pattern = finder(chosen.query, "i");
    return records.filter(
      (record) => keeps(record, chosen) && (!pattern || texts(record).some((text) => pattern.test(text)))
    );
  }

  /** Filter, and show the page. */
  show() {
    const kind = this.kinds[this.name];
    kind.hits = this.hits();
    this.turn(kind.page);
  }

  turn(page) {
    const kind = this.kinds[this.name];
    kind.page = Math.max(0, Math.min(page, this.pages() - 1));
    const shown = kind.hits.slice(kind.page * kind.size, (kind.page + 1) * kind.size);
    this.list.replaceChildren(...shown.map((record, place) => this.card(record, place === 0)));
    this.list.dataset.state = kind.ready ? "ready" : "loading";
    this.count();
  }

  pages() {
    const { hits, size } = this.kinds[this.name];
    return Math.max(1, Math.ceil(hits.length / size));
  }

  count() {
    const kind = this.kinds[this.name];
    const { shown, total } = totals[this.name];
    const n = (number) => number.toLocaleString("en");
    const of = shown < total ? `${n(shown)} chosen by their id from ${n(total)}` : n(total);
    const text = kind.ready ? `${n(kind.hits.length)} of ${of}` : `loading ${n(kind.records.length)} of ${n(shown)} …`;
    for (const pager of this.pagers) {
      pager.count.textContent = text;
      pager.number.value = kind.page + 1;
      pager.number.max = this.pages();
      pager.of.textContent = `of ${n(this.pages())}`;
      pager.back.disabled = kind.page === 0;
      pager.next.disabled = kind.page >= this.pages() - 1;
    }
  }

  pager() {
    const count = el("span", { className: "count", role: "status" });
    const back = el("button", { type: "button", textContent: "‹ back", className: "back" });
    const next = el("button", { type: "button", textContent: "next ›", className: "next" });
    const number = el("input", { type: "number", min: 1, "aria-label": "page" });
    const of = el("span");
    const all = el("button", { type: "button", textContent: "open all", className: "all" });
    back.addEventListener("click", () => this.turn(this.kinds[this.name].page - 1));
    next.addEventListener("click", () => this.turn(this.kinds[this.name].page + 1));
    number.addEventListener("change", () => this.turn(Number(number.value) - 1));
    all.addEventListener("click", () => {
      const cards = [...this.list.children];
      const close = cards.every((card) => card.open);
      for (const card of cards) card.open = !close;
    });
    return { bar: el("div", { className: "pager" }, count, all, back, number, of, next), count, back, next, number, of };
  }

  card(record, open) {
    const { chosen } = this.kinds[this.name];
    const { path, body } = KINDS[this.name];
    const link = `#${this.name}/${encodeURIComponent(record.id)}`;
    const card = el(
      "details",
      { className: "card" },
      el(
        "summary",
        {},
        el("span", { className: "asked text" }, verbatim(asked(record).at(-1), chosen.query)),
        el("span", { className: "path", textContent: path(record) }),
        el("a", { className: "id", href: link, textContent: record.id })
      )
    );
    const fill = () => card.childElementCount > 1 || card.append(el("div", { className: "body" }, body(record, chosen)));
    card.addEventListener("toggle", () => card.open && fill());
    if (open) {
      fill();
      card.open = true;
    }
    return card;
  }
}
