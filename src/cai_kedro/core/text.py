"""Text in pieces: words and clauses, alike for every metric."""

import re

_BREAK = re.compile(r"(?<=[.!?])\s+|[;:\n]+|\s[-–—]\s|—|,\s*(?=(?:but|however|and instead|instead|so)\b)")
_WORD = re.compile(r"[\w']+")


def words_of(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; curly apostrophes become straight ones."""
    return _WORD.findall(text.replace("’", "'").lower())


def clauses(text: str) -> list[str]:
    """Return sentences, and parts of sentences before `but`, `so`, `;` and the like, as words with spaces between."""
    parts = (" ".join(words_of(part)) for part in _BREAK.split(text.replace("’", "'").lower()))
    return [part for part in parts if part]
