// Word differences between two texts: the longest common subsequence of their words.

const WORD = /[\p{L}\p{N}'’_-]+\s*|[^\p{L}\p{N}\s]\s*|\s+/gu;
const MOST_CELLS = 4_000_000;
const SAME_ENOUGH = 0.3;

/**
 * Return [[kind, text], …] with kind "same", "gone" or "new"; "same" and "new" together are exactly `after`.
 * Null if too little is common to be worth showing, or the texts are too long to compare.
 */
function wordChanges(before, after) {
  const a = before.match(WORD) ?? [];
  const b = after.match(WORD) ?? [];
  if (a.join("") !== before || b.join("") !== after || (a.length + 1) * (b.length + 1) > MOST_CELLS) return null;
  const same = (i, j) => a[i].trimEnd() === b[j].trimEnd();
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width); // [i, j]: of the words from i and from j on
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = same(i, j)
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  if (common[0] < SAME_ENOUGH * Math.max(a.length, b.length)) return null;
  const changes = [];
  const add = (kind, text) => {
    const last = changes.at(-1);
    if (last && last[0] === kind) last[1] += text;
    else changes.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(i, j)) {
      add("same", b[j]);
      [i, j] = [i + 1, j + 1];
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      add("gone", a[i++]);
    } else {
      add("new", b[j++]);
    }
  }
  return changes;
}

/** A block of text with what changed since `before`: <ins> is new, <del> is gone. */
function changedBlock(before, after, query) {
  const changes = wordChanges(before, after);
  if (!changes) return block(after, query, "rewritten");
  const wrap = { same: "span", gone: "del", new: "ins" };
  return el(
    "div",
    { className: "text", dir: "auto" },
    changes.map(([kind, text]) => el(wrap[kind], {}, verbatim(text, query)))
  );
}
