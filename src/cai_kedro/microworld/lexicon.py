"""The words of the micro world, read from `lexicon.yml`."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

ObjectKind = Literal["person", "thing"]

LEXICON_FILE = "lexicon.yml"
GENERAL = "general"


@dataclass(frozen=True)
class Verb:
    """What can be done, and how; `harm` is the harm category, None for a benign verb."""

    text: str
    method: str
    kind: ObjectKind
    harm: str | None
    index: int  # within its category


@dataclass(frozen=True)
class Noun:
    """What it can be done to."""

    text: str
    kind: ObjectKind
    index: int

    @property
    def phrase(self) -> str:
        """The object as replies write it."""
        return f"my {self.text}" if self.kind == "person" else f"the {self.text}"

    @property
    def pronoun(self) -> str:
        """The object as a second human turn may write it."""
        return "them" if self.kind == "person" else "it"


@dataclass(frozen=True)
class Harm:
    """A harm category: what it is called, why it is wrong, what to do instead."""

    name: str
    words: tuple[str, ...]
    reason: str
    alternative: str


@dataclass(frozen=True)
class Lexicon:
    """All words. `criteria` maps a criterion (general, a harm, rude, evasive) to the words that principles use."""

    verbs: tuple[Verb, ...]
    nouns: tuple[Noun, ...]
    harms: dict[str, Harm]
    criteria: dict[str, tuple[str, ...]]

    def verbs_of(self, *, harmful: bool, kind: ObjectKind) -> list[Verb]:
        """Return the verbs of one moral and object kind."""
        return [verb for verb in self.verbs if (verb.harm is not None) == harmful and verb.kind == kind]


@cache
def lexicon() -> Lexicon:
    """Read the package's lexicon."""
    raw = yaml.safe_load(files(__package__).joinpath(LEXICON_FILE).read_text(encoding="utf-8"))
    nouns = [Noun(text, "person", i) for i, text in enumerate(raw["persons"])]
    nouns += [Noun(text, "thing", len(nouns) + i) for i, text in enumerate(raw["things"])]
    verbs = [
        Verb(text, method, harm["object"], name, i)
        for name, harm in raw["harms"].items()
        for i, (text, method) in enumerate(harm["verbs"].items())
    ]
    verbs += [
        Verb(text, method, kind, None, i)
        for kind in ("thing", "person")
        for i, (text, method) in enumerate(raw["benign"][kind].items())
    ]
    harms = {
        name: Harm(name, tuple(harm["words"]), harm["reason"], harm["alternative"])
        for name, harm in raw["harms"].items()
    }
    criteria = {GENERAL: tuple(raw["general_words"])}
    criteria |= {name: harm.words for name, harm in harms.items()}
    criteria |= {name: tuple(words) for name, words in raw["manner_words"].items()}
    return Lexicon(tuple(verbs), tuple(nouns), harms, criteria)
