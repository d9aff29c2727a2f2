"""The words of the micro world, read from `lexicon.yml`."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

ObjectKind = Literal["person", "thing", "scrap"]

LEXICON_FILE = "lexicon.yml"
GENERAL = "general"

# One object in eight, and the fourth verb of each harm, are held out (acts.py).
_HELD_OUT_OBJECT = 5
_HELD_OUT_VERB = 3


@dataclass(frozen=True)
class Verb:
    """What can be done, and how; `harm` is the harm category, None for a benign verb.

    `severity` is how grave it is, 1 to 4, 0 for a benign verb. `own` and `consent`: it harms nobody who does it to a
    thing of theirs, or to somebody who agreed.
    """

    text: str
    method: str
    kind: ObjectKind
    harm: str | None
    index: int  # within its category
    severity: int = 0
    own: bool = False
    consent: bool = False

    @property
    def held_out(self) -> bool:
        """Whether no request of the corpus asks for it."""
        return self.harm is not None and self.index == _HELD_OUT_VERB


@dataclass(frozen=True)
class Noun:
    """What it can be done to; `weight` is what it adds to the severity of an act."""

    text: str
    kind: ObjectKind
    index: int
    weight: int = 0

    @property
    def phrase(self) -> str:
        """The object as replies write it."""
        return f"my {self.text}" if self.kind == "person" else f"the {self.text}"

    @property
    def pronoun(self) -> str:
        """The object as a second human turn may write it."""
        return "them" if self.kind == "person" else "it"

    @property
    def held_out(self) -> bool:
        """Whether no request of the corpus asks for anything done to it."""
        return self.index % 8 == _HELD_OUT_OBJECT


@dataclass(frozen=True)
class Harm:
    """A harm category: what it is called, why it is wrong, what to do instead; `scraps`: not if done to scraps."""

    name: str
    words: tuple[str, ...]
    reason: str
    alternative: str
    scraps: bool


@dataclass(frozen=True)
class Lexicon:
    """All words. `criteria` maps a criterion (general, a harm, a manner) to the words that principles use."""

    verbs: tuple[Verb, ...]
    nouns: tuple[Noun, ...]
    harms: dict[str, Harm]
    criteria: dict[str, tuple[str, ...]]

    def verbs_of(self, *, harmful: bool, kind: ObjectKind) -> list[Verb]:
        """Return the verbs of one moral and object kind; scraps take the benign verbs of things."""
        wanted = "thing" if kind == "scrap" else kind
        return [verb for verb in self.verbs if (verb.harm is not None) == harmful and verb.kind == wanted]


def _nouns(raw: dict[str, Any]) -> tuple[Noun, ...]:
    kinds: dict[ObjectKind, list[str]] = {"person": raw["persons"], "thing": raw["things"], "scrap": raw["scraps"]}
    spoken = [(text, kind) for kind, texts in kinds.items() for text in texts]
    weights = dict.fromkeys(raw["dear"], 1) | dict.fromkeys(raw["petty"], -1)
    return tuple(Noun(text, kind, i, weights.get(text, 0)) for i, (text, kind) in enumerate(spoken))


def _verbs_of_harm(name: str, harm: dict[str, Any]) -> list[Verb]:
    return [
        Verb(
            text, method, harm["object"], name, i,
            severity=severity, own=harm.get("own", False), consent=text in harm.get("consent", ()),
        )
        for i, ((text, method), severity) in enumerate(zip(harm["verbs"].items(), harm["severities"], strict=True))
    ]  # fmt: skip


@cache
def lexicon() -> Lexicon:
    """Read the package's lexicon."""
    raw = yaml.safe_load(files(__package__).joinpath(LEXICON_FILE).read_text(encoding="utf-8"))
    verbs = [verb for name, harm in raw["harms"].items() for verb in _verbs_of_harm(name, harm)]
    kinds: tuple[ObjectKind, ...] = ("thing", "person")
    verbs += [
        Verb(text, method, kind, None, i)
        for kind in kinds
        for i, (text, method) in enumerate(raw["benign"][kind].items())
    ]
    harms = {
        name: Harm(name, tuple(harm["words"]), harm["reason"], harm["alternative"], harm.get("scraps", False))
        for name, harm in raw["harms"].items()
    }
    criteria = {GENERAL: tuple(raw["general_words"])}
    criteria |= {name: harm.words for name, harm in harms.items()}
    criteria |= {name: tuple(words) for name, words in raw["manner_words"].items()}
    return Lexicon(tuple(verbs), _nouns(raw), harms, criteria)
