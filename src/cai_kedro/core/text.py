"""Text in pieces: words and clauses, alike for every metric."""

import re

_BREAK = re.compile(r"(?<=[.!?])\s+|[;:\n]+|\s[-–—]\s|—|,\s*(?=(?:but|however|and instead|instead|so)\b)")
_WORD = re.compile(r"[\w']+")
#: What stands in front of a line of a list.
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)](?=\s|$))")
#: Some spreadsheets skip line ends, and read the wide signs of East Asian keyboards as the plain ones.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


def words_of(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; curly apostrophes become straight ones."""
    return _WORD.findall(text.replace("’", "'").lower())


def clauses(text: str) -> list[str]:
    """Return sentences, and parts of sentences before `but`, `so`, `;` and the like, as words with spaces between."""
    parts = (" ".join(words_of(part)) for part in _BREAK.split(text.replace("’", "'").lower()))
    return [part for part in parts if part]


def list_item(line: str) -> tuple[bool, str]:
    """Return whether a line has the mark of a list in front, a number or a bullet, and its words without it."""
    mark = _LIST_MARK.match(line)
    return mark is not None, " ".join(line[mark.end() if mark else 0 :].split())


def before_a_repeat(text: str, words: int) -> str:
    """Return a text up to the first clause of at least so many words that it has said before, without loose ends."""
    said: set[str] = set()
    begin = 0
    for end, after in [*((found.start(), found.end()) for found in _BREAK.finditer(text)), (len(text), len(text))]:
        clause = words_of(text[begin:end])
        if len(clause) >= words:
            key = " ".join(clause)
            if key in said:
                return text[:begin].rstrip(" \n\t,;:-–—")
            said.add(key)
        begin = after
    return text


def for_spreadsheet(cell: object) -> object:
    """Put an apostrophe in front of text that a spreadsheet would run as a formula, or that starts with one."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def from_spreadsheet(cell: object) -> object:
    """Take off what `for_spreadsheet` put in front."""
    return cell.removeprefix("'") if isinstance(cell, str) else cell


#: Control characters, changes of direction, foreign line ends, halves of characters.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, keep: str = "\n\t") -> str:
    r"""Write what a terminal would obey as what it is (an escape becomes `\x1b`), but for the characters to `keep`."""
    return _HIDDEN.sub(lambda hit: hit[0] if hit[0] in keep else hit[0].encode("unicode_escape").decode("ascii"), text)
