"""A completion while it is written: the text that will stay, in pieces."""

from collections.abc import Callable, Sequence

from cai_kedro.engines.stopping import cut_at

_UNFINISHED = "\ufffd"  # the bytes of a character that is not whole yet


class Pieces:
    """Hands on what is certain of a text that grows: neither half a character nor what may begin a stop string."""

    def __init__(self, stop: Sequence[str], heard: Callable[[str], None]) -> None:
        self._stop = tuple(stop)
        self._heard = heard
        self._told = ""

    def grow(self, text: str) -> None:
        """Take the text so far."""
        kept, stopped = cut_at(text, self._stop)
        if not stopped:
            kept = kept.rstrip(_UNFINISHED)
            kept = kept[: len(kept) - self._beginning(kept)]
        self._tell(kept.strip())

    def end(self, text: str) -> None:
        """Take the finished text."""
        self._tell(text)

    def _tell(self, text: str) -> None:
        if text.startswith(self._told) and text != self._told:  # a tokenizer may take back a space
            self._heard(text[len(self._told) :])
            self._told = text

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(string.startswith(text[-n:]) for string in self._stop)), 0)
