// How one transcript of each kind looks when it is open.

const principles = JSON.parse(document.getElementById("principles").textContent);

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

function conversation(turns, query) {
  return turns.map(([role, text]) =>
    el("div", { className: `turn ${role}` }, el("span", { className: "who", textContent: role }), block(text, query))
  );
}

/** The fields of a principle in full, or its id where the constitution no longer has it. */
function principleBox(kind, id, query) {
  const known = principles[kind][id];
  const lines = known ? Object.entries(known) : [["not in the constitution of this report", ""]];
  return el(
    "div",
    { className: "principle" },
    el("span", { className: "who" }, "principle ", el("span", { className: "id", textContent: id })),
    lines.map(([name, text]) => el("div", {}, el("b", { textContent: `${name}: ` }), el("span", {}, verbatim(text, query))))
  );
}

function answersBody(record, chosen) {
  const shown = record.answers.filter((answer) => !chosen.policy || chosen.beside || answer.policy === chosen.policy);
  const isHit = (answer) =>
    (chosen.policy || chosen.behaviour) &&
    (!chosen.policy || answer.policy === chosen.policy) &&
    (!chosen.behaviour || answer.behaviour === chosen.behaviour);
  const boxes = shown.map((answer) =>
    el(
      "div",
      { className: isHit(answer) ? "box hit" : "box" },
      el(
        "h4",
        {},
        el("span", { textContent: answer.policy }),
        answer.behaviour ? badge(answer.behaviour) : null,
        record.axes.filter((axis) => axis in answer.ratings).map((axis) => badge(`${axis} ${answer.ratings[axis]} of 4`))
      ),
      block(answer.text, chosen.query)
    )
  );
  return [...conversation(record.turns, chosen.query), el("div", { className: "beside" }, boxes)];
}

function stepItem(steps, number, chosen) {
  const [before, step] = [steps[number - 1], steps[number]];
  const marks = [];
  if (before && before.text === step.text) marks.push(badge("unchanged"));
  if (step.behaviour) marks.push(badge(step.behaviour));
  if (step.score !== null) {
    const gain = before && before.score !== null ? step.score - before.score : 0;
    marks.push(badge(`PM score ${signed(step.score)}`));
    if (gain) marks.push(badge(`${signed(gain)}`, gain > 0 ? "up" : "down"));
  }
  const text = before ? changedBlock(before.text, step.text, chosen.query) : block(step.text, chosen.query);
  if (before && text.classList.contains("rewritten")) marks.push(badge("rewritten"));
  return el(
    "li",
    { className: "step" },
    el("h4", {}, el("span", { textContent: number ? `Revision ${number}` : "Response" }), marks),
    number ? principleBox("critique", step.principle, chosen.query) : null,
    step.critique ? el("div", { className: "critique" }, el("span", { className: "who", textContent: "critique" }), block(step.critique, chosen.query)) : null,
    text
  );
}

function chainBody(record, chosen) {
  const chain = (steps) => el("ol", { className: "chain" }, steps.map((_, number) => stepItem(steps, number, chosen)));
  const direct = el("details", {}, el("summary", { textContent: "the same response revised without critiques" }));
  direct.addEventListener("toggle", () => direct.childElementCount > 1 || direct.append(chain(record.direct)));
  return [
    ...conversation(record.turns, chosen.query),
    chain(record.steps),
    record.direct.length > 1 ? direct : null,
  ];
}

function probability(name, p) {
  if (p === null) return null;
  const fill = el("span", { className: "fill" });
  fill.style.width = `${100 * p}%`;
  return el(
    "div",
    { className: "bar" },
    el("span", { textContent: name }),
    el("span", { className: "track" }, fill),
    el("span", { textContent: p.toFixed(3) })
  );
}

function comparisonBody(record, chosen) {
  const box = (letter, text) =>
    el("div", { className: "box" }, el("h4", { textContent: `Option ${letter}` }), block(text, chosen.query));
  const labels = record.labels.map((label) =>
    el(
      "div",
      { className: "label" },
      el("h4", { textContent: SOURCES[label.source] ?? label.source }),
      label.principle ? principleBox("preference", label.principle, chosen.query) : null,
      probability("P(A), A shown first", label.first),
      probability("P(A), B shown first", label.second),
      probability("label", label.p),
      label.thoughts ? el("div", { className: "critique" }, el("span", { className: "who", textContent: "chain of thought" }), block(label.thoughts, chosen.query)) : null
    )
  );
  return [
    ...conversation(record.turns, chosen.query),
    el("div", { className: "beside" }, box("A", record.a), box("B", record.b)),
    ...labels,
  ];
}

const SOURCES = { ai: "AI label", ai_cot: "AI label after a chain of thought", human: "label of people" };
