// The three kinds of transcripts: what they are searched and filtered by, and how they are shown.

const asked = (record) => record.turns.map(([, text]) => text);
const unchanged = (steps, number) => steps[number].text === steps[number - 1].text;
const rounds = (record) => record.steps.slice(1).map((step, place) => ({ ...step, same: unchanged(record.steps, place + 1) }));
const ordersDisagree = (label) =>
  label.first !== null && label.second !== null && label.first > 0.5 !== label.second > 0.5;

const KINDS = {
  answers: {
    title: "Answers, policies side by side",
    filters: {
      policy: (record) => record.answers.map((answer) => answer.policy),
      behaviour: (record) => record.answers.map((answer) => answer.behaviour),
      axis: (record) => record.axes,
      category: (record) => [record.category],
      split: (record) => [record.split],
    },
    texts: (record) => [record.id, ...asked(record), ...record.answers.map((answer) => answer.text)],
    // one answer has to be of the policy and of the behaviour
    keeps: (record, chosen) =>
      (!chosen.axis || record.axes.includes(chosen.axis)) &&
      (!chosen.category || record.category === chosen.category) &&
      (!chosen.split || record.split === chosen.split) &&
      record.answers.some(
        (answer) =>
          (!chosen.policy || answer.policy === chosen.policy) &&
          (!chosen.behaviour || answer.behaviour === chosen.behaviour)
      ),
    path: (record) =>
      record.answers.some((answer) => answer.behaviour)
        ? record.answers.map((answer) => answer.behaviour ?? "?").join(" · ")
        : record.axes.join(" · "),
    body: answersBody,
  },
  chains: {
    title: "Critiques and revisions",
    filters: {
      policy: (record) => [record.policy],
      "starts as": (record) => [record.steps[0].behaviour],
      "ends as": (record) => [record.steps.at(-1).behaviour],
      principle: (record) => record.steps.slice(1).map((step) => step.principle),
      revision: () => ["changed", "unchanged"],
      split: (record) => [record.split],
    },
    texts: (record) => [
      record.id,
      ...asked(record),
      ...record.steps.flatMap((step) => [step.critique ?? "", step.text]),
      ...record.direct.slice(1).map((step) => step.text),
    ],
    // one revision has to be of the principle and (un)changed
    keeps: (record, chosen) =>
      (!chosen.policy || record.policy === chosen.policy) &&
      (!chosen.split || record.split === chosen.split) &&
      (!chosen["starts as"] || record.steps[0].behaviour === chosen["starts as"]) &&
      (!chosen["ends as"] || record.steps.at(-1).behaviour === chosen["ends as"]) &&
      ((!chosen.principle && !chosen.revision) ||
        rounds(record).some(
          (step) =>
            (!chosen.principle || step.principle === chosen.principle) &&
            (!chosen.revision || step.same === (chosen.revision === "unchanged"))
        )),
    path: (record) =>
      record.steps.some((step) => step.behaviour)
        ? record.steps.map((step) => step.behaviour ?? "?").join(" → ")
        : "not judged",
    body: chainBody,
  },
  comparisons: {
    title: "AI comparisons",
    filters: {
      principle: (record) => record.labels.map((label) => label.principle),
      "both orders": () => ["agree", "disagree"],
      "prefers": () => ["A", "B"],
      kind: (record) => [record.kind],
      split: (record) => [record.split],
    },
    texts: (record) => [record.id, ...asked(record), record.a, record.b, ...record.labels.map((label) => label.thoughts ?? "")],
    keeps: (record, chosen) =>
      (!chosen.kind || record.kind === chosen.kind) &&
      (!chosen.split || record.split === chosen.split) &&
      record.labels.some(
        (label) =>
          (!chosen.principle || label.principle === chosen.principle) &&
          (!chosen.prefers || label.p > 0.5 === (chosen.prefers === "A")) &&
          (!chosen["both orders"] || ordersDisagree(label) === (chosen["both orders"] === "disagree"))
      ),
    path: (record) => record.labels.map((label) => `${label.source} P(A) ${label.p.toFixed(2)}`).join(" · "),
    body: comparisonBody,
  },
};
