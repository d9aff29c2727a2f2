"""The words of the English world, read from the YAML files in `lexicon/`.

An act is written once, with places for people and things ("steal {thing} from {who}"). What is said about it follows
from its entry: how people do it, why it is wrong, how grave it is, what to do instead.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Split = Literal["train", "held_out"]

_FIELDS = {"harm": 5, "fine": 3, "open": 6}
#: Of the acts of a harm, one in so many is held out.
_HELD_OUT_EVERY = 6


@dataclass(frozen=True)
class Act:
    """What somebody wants to do; `{who}`, `{thing}`, `{place}` and `{group}` stand for people and things.

    `harm` is the kind of harm that it does, None if it does none; `looks_like` the kind whose words a harmless act
    has. An open act (`excuses` and `charges`) does its harm only behind one of the sentences in `charges`.
    """

    name: str
    text: str
    how: str
    wrong: str
    why: str
    instead: str
    severity: int
    harm: str | None
    looks_like: str | None
    held_out: bool
    excuses: tuple[str, ...] = ()
    charges: tuple[str, ...] = ()


@dataclass(frozen=True)
class Harm:
    """A kind of harm: what it is called, and why it is wrong in general."""

    name: str
    why: str
    held_out: bool


@dataclass(frozen=True)
class Lexicon:
    """All acts, kinds of harm and what may stand in the places of an act."""

    harms: Mapping[str, Harm]
    acts: tuple[Act, ...]
    slots: Mapping[str, Mapping[str, tuple[str, ...]]]

    def values(self, slot: str) -> tuple[str, ...]:
        """Return everything that may stand in a place, held out or not."""
        return self.slots[slot]["train"] + self.slots[slot]["held_out"]


@cache
def raw(name: str) -> Any:
    """Return a file of the lexicon, e.g. `requests`."""
    return yaml.safe_load(files(__package__).joinpath("lexicon", f"{name}.yml").read_text(encoding="utf-8"))


def _harm_files() -> list[str]:
    folder = files(__package__).joinpath("lexicon", "harms")
    return sorted(file.name.removesuffix(".yml") for file in folder.iterdir() if file.name.endswith(".yml"))


def _fields(entry: str, kind: str, where: str) -> list[str]:
    parts = [part.strip() for part in entry.split(" | ")]
    if len(parts) != _FIELDS[kind]:
        raise ValueError(f"{where}: expected {_FIELDS[kind]} fields between strokes, got {len(parts)} in {entry!r}")
    return parts


def _harmful_acts(name: str, told: Mapping[str, Any]) -> Iterator[Act]:
    for place, entry in enumerate(told["acts"]):
        text, how, why, severity, instead = _fields(entry, "harm", f"harms/{name}.yml, act {place + 1}")
        held_out = told["held_out"] or place % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
        yield Act(f"{name}/{place:02d}", text, how, "", why, instead, int(severity), name, None, held_out)
    for place, opened in enumerate(told["open"] or ()):
        text, how, why, severity, instead, wrong = _fields(opened["act"], "open", f"harms/{name}.yml, open {place + 1}")
        yield Act(
            f"{name}/open-{place}", text, how, wrong, why, instead, int(severity), name, name, told["held_out"],
            tuple(opened["fine"]), tuple(opened["harmful"]),
        )  # fmt: skip


def _harmless(entries: list[str], name: str, looks_like: str | None, held_out: bool) -> Iterator[Act]:
    for place, entry in enumerate(entries):
        text, how, wrong = _fields(entry, "fine", f"{name}, harmless act {place + 1}")
        out = held_out or place % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
        yield Act(f"{name}/{place:02d}", text, how, wrong, "", "", 0, None, looks_like, out)


@cache
def lexicon() -> Lexicon:
    """Read the package's lexicon; raises `ValueError` that names the file and the entry at fault."""
    told = {name: raw(f"harms/{name}") for name in _harm_files()}
    acts: list[Act] = []
    for name, harm in told.items():
        acts += _harmful_acts(name, harm)
        acts += _harmless(harm["look_alikes"], f"{name}/like", name, harm["held_out"])
    acts += _harmless(raw("skills"), "skill", None, held_out=False)
    slots = {name: {split: tuple(of) for split, of in values.items()} for name, values in raw("slots").items()}
    harms = {name: Harm(name, harm["why"], harm["held_out"]) for name, harm in told.items()}
    return Lexicon(harms, tuple(acts), slots)
