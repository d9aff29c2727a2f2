"""Texts as asks, for tests of engines."""

from collections.abc import Sequence

from cai_kedro.core.asks import Plain


def plain(texts: Sequence[str], choices: Sequence[str] = (), stops: Sequence[str] = ()) -> list[Plain]:
    """Return an ask for each text, with the same choices and stop strings."""
    return [Plain(text, tuple(choices), tuple(stops)) for text in texts]
