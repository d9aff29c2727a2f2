"""Sentences with places in them ("I won't help you {act}."), and how a text is taken apart by one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cai_kedro.englishworld.lexicon import Split
from cai_kedro.englishworld.spelling import plain

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Frame:
    """A sentence with places; one that begins with a capital letter begins the sentence (`{How}`)."""

    text: str
    split: Split = "train"

    def fill(self, **values: str) -> str:
        """Put texts into the places."""
        return _PLACE.sub(lambda place: _placed(place[1], values), self.text)

    @property
    def places(self) -> frozenset[str]:
        """The names of the places, in lower case."""
        return frozenset(name.lower() for name in _PLACE.findall(self.text))

    @cached_property
    def _parts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        texts = _PLACE.split(self.text)
        return tuple(plain(text) for text in texts[::2]), tuple(name.lower() for name in texts[1::2])

    def readings(self, text: str) -> Iterator[Mapping[str, str]]:
        """Yield every way in which a plain text fills this frame: place → plain text."""
        literals, names = self._parts
        if not names:
            if text == literals[0]:
                yield {}
            return
        first, last = literals[0], literals[-1]
        start = f"{first} " if first else ""
        end = f" {last}" if last else ""
        if len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end):
            yield from _between(text[len(start) : len(text) - len(end)], literals[1:-1], names)


def _placed(name: str, values: Mapping[str, str]) -> str:
    value = values[name.lower()]
    return value[0].upper() + value[1:] if name[0].isupper() else value


def _between(text: str, literals: tuple[str, ...], names: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    if not literals:
        yield {names[0]: text}
        return
    middle = f" {literals[0]} " if literals[0] else " "
    at = text.find(middle)
    while at > 0:
        for rest in _between(text[at + len(middle) :], literals[1:], names[1:]):
            if rest.get(names[0], text[:at]) == text[:at]:  # a place that stands there twice holds one thing
                yield {names[0]: text[:at], **rest}
        at = text.find(middle, at + 1)


def frames_of(told: Mapping[str, list[str]]) -> tuple[Frame, ...]:
    """Return the frames of an entry with `train` and `held_out`."""
    splits: tuple[Split, Split] = ("train", "held_out")
    return tuple(Frame(text, split) for split in splits for text in told.get(split, ()))


def of_split(frames: Sequence[Frame], split: str) -> list[Frame]:
    """Return the frames that a text of this split has: those held out in `frame`, the others elsewhere."""
    return [frame for frame in frames if (frame.split == "held_out") == (split == "frame")]
