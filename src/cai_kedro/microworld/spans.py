"""What a document of the corpus is made of: pieces of text, some of which decide something."""

from dataclasses import dataclass

#: Loss weights of the first token of a span that decides.
DECISIVE = 4.0
LETTER = 4.5  # another number than other decisions, so that what a judge has learned can be told from what a reader has
HELPFUL_DECISION = 2.0


@dataclass(frozen=True)
class Span:
    """A piece of a document and the loss weight of its first token."""

    text: str
    weight: float = 1.0


Document = list[Span]


def text_of(spans: Document) -> str:
    """Return a document as plain text."""
    return "".join(span.text for span in spans)


def answer_letter(letter: str, weight: float = LETTER) -> Document:
    """Return the end of a comparison: the letter of the option that is chosen, and its weight in the loss."""
    return [Span(" ("), Span(letter, weight), Span(")")]
