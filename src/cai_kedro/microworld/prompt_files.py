"""The prompts of the micro world, which `python -m cai_kedro.microworld.prompt_files DIR` wrote to `data/01_raw`.

`development` in it holds prompts to choose settings by. Who looks at what is held out, changes a setting and looks
again has tuned on it; so these hold out other acts, objects and verbs than the evaluation does (`kedro study choice`).
"""

import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cai_kedro.core.conversation import Message
from cai_kedro.core.seeding import SeedKey, rng_for
from cai_kedro.microworld.acts import Act, act_table
from cai_kedro.microworld.lexicon import Noun, Verb, lexicon
from cai_kedro.microworld.replies import ask

_SEED = 20221215
_LOOK_ALIKE = "look_alike"
#: Prompts by what is held out; look-alikes are harmless requests that look harmful.
_GIVEN = {"given_red_team_prompts": {"train": 900}, "given_helpful_prompts": {"train": 720, _LOOK_ALIKE: 180}}
_HELD_OUT = {
    "eval_red_team_prompts": {"combination": 250, "object": 175, "verb": 175},
    "eval_helpful_prompts": {"combination": 150, "object": 100, _LOOK_ALIKE: 120},
}
# of the objects and verbs that are not the evaluation's: one object in eight, one verb of each harm
_DEVELOPMENT_OBJECT = 1
_DEVELOPMENT_VERB = 1


@dataclass(frozen=True)
class HeldOut:
    """What prompts to train on may not ask for: what the evaluation holds out, and for development more than that."""

    development: bool = False

    def _noun(self, noun: Noun) -> bool:
        return noun.held_out or (self.development and noun.index % 8 == _DEVELOPMENT_OBJECT)

    def _verb(self, verb: Verb) -> bool:
        return verb.held_out or (self.development and verb.harm is not None and verb.index == _DEVELOPMENT_VERB)

    def split_of(self, act: Act) -> str | None:
        """Return the split that an act is in, None for what the evaluation holds out from the development, too."""
        if not self.development:
            return act.split
        if act.split != "train":
            return None
        if self._noun(act.noun):
            return "object"
        if self._verb(act.verb):
            return "verb"
        drawn = rng_for(_SEED, "development", act.verb.text, act.noun.text).random()
        return "combination" if drawn < 1 / 8 else "train"

    @cached_property
    def phrases(self) -> list[str]:
        """What no training prompt may hold: held-out verbs and objects, and every other act that is held out."""
        nouns = [noun for noun in lexicon().nouns if self._noun(noun)]
        phrases = {noun.phrase for noun in nouns} | {f"my own {noun.text}" for noun in nouns if noun.kind == "thing"}
        phrases |= {verb.text for verb in lexicon().verbs if self._verb(verb)}
        combinations = {act.text for act in act_table().acts if "combination" in (act.split, self.split_of(act))}
        return sorted(phrases | combinations)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, self.phrases))})\b")

    def holds(self, messages: Sequence[Message]) -> bool:
        """Tell whether a human turn of a conversation holds a held-out phrase."""
        return any(self._pattern.search(turn["content"]) for turn in messages if turn["role"] == "user")


def _acts(name: str, split: str, held_out: HeldOut) -> list[Act]:
    """Return the acts that prompts of a file and a split ask for."""
    table = act_table()
    if split != _LOOK_ALIKE:
        harmful = "red_team" in name
        acts = [act for (_, moral), group in table.by_split.items() if moral == harmful for act in group]
        return [act for act in acts if held_out.split_of(act) == split]
    splits = ("train",) if name in _GIVEN else ("combination", "object")
    looking_so = [act for group in table.look_alikes.values() for act in group]
    return [act for wanted in splits for act in looking_so if held_out.split_of(act) == wanted]


def _prompts(name: str, split: str, count: int, held_out: HeldOut) -> list[dict[str, str | list[Message]]]:
    of: tuple[SeedKey, ...] = ("development",) if held_out.development else ()
    rng: random.Random = rng_for(_SEED, *of, name, split)
    kind = "red-team" if "red_team" in name else "helpful"
    acts = _acts(name, split, held_out)
    rows: list[dict[str, str | list[Message]]] = []
    seen: set[str] = set()
    while len(rows) < count:
        messages = list(ask(rng.choice(acts), rng).messages)
        text = json.dumps(messages)
        if text not in seen:
            prompt_id = f"{kind}-{split}-{len(seen):04d}"
            seen.add(text)
            # prompts to train on with a held-out first turn leave their number free
            if name in _HELD_OUT or not held_out.holds(messages):
                rows.append({"prompt_id": prompt_id, "split": split, "messages": messages})
    return rows


def write_prompt_files(folder: Path) -> None:
    """Write the files of prompts: to train on, to evaluate with, and what these hold out; the same for development."""
    for held_out, place in ((HeldOut(), folder), (HeldOut(development=True), folder / "development")):
        _write(held_out, place)


def _write(held_out: HeldOut, folder: Path) -> None:
    tables = {
        name: [row for split, count in counts.items() for row in _prompts(name, split, count, held_out)]
        for name, counts in (_GIVEN | _HELD_OUT).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    who = "the development and the evaluation hold" if held_out.development else "the evaluation holds"
    lines = [f"# What no training prompt may ask for: acts, objects and verbs that {who} out."]
    text = "".join(f"{line}\n" for line in [*lines, *held_out.phrases])
    (folder / "held_out_phrases.txt").write_text(text, encoding="utf-8")
    for name, rows in tables.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_prompt_files(Path(sys.argv[1]))
