// Building the page. Texts of the run reach it through textContent alone, so no text can become markup.

/** Make an element: properties by name, then children (elements, strings; null is left out). */
function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// control characters, invisible ones, and those that turn the direction of writing; not tab and line feed
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/** Split a text by a pattern, keeping what matches: [[part, matched], …]. */
function parts(text, pattern) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > from) found.push([text.slice(from, match.index), false]);
    found.push([match[0], true]);
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push([text.slice(from), false]);
  return found;
}

/** A pattern that finds a text as it stands, in any case; null for an empty one. */
function finder(query, flags) {
  return query ? new RegExp(query.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), flags) : null;
}

/** The nodes of a text: unseen characters get a visible name, what is searched for is marked. */
function verbatim(text, query) {
  const unseen = new RegExp(UNSEEN, "g");
  const nodes = (piece) =>
    parts(piece, unseen).map(([part, matched]) => {
      if (!matched) return document.createTextNode(part);
      const name = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
      return el("span", { className: "control", "data-name": name, textContent: part });
    });
  const pattern = finder(query, "gi");
  if (!pattern) return nodes(text);
  return parts(text, pattern).flatMap(([part, matched]) => (matched ? [el("mark", {}, nodes(part))] : nodes(part)));
}

/** A block of text of the run. */
function block(text, query, className = "") {
  return el("div", { className: `text ${className}`, dir: "auto" }, verbatim(text, query));
}

function badge(text, kind = "") {
  return el("span", { className: `badge ${kind}`, textContent: text });
}
