"""The prompts of the micro world, which `python -m cai_kedro.microworld.prompt_files DIR` wrote to `data/01_raw`."""

import json
import random
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cai_kedro.core.conversation import Message
from cai_kedro.core.seeding import rng_for
from cai_kedro.microworld.acts import Act, act_table
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.replies import ask

_SEED = 20221215
_LOOK_ALIKE = "look_alike"
#: Prompts by what is held out of the corpus; look-alikes are harmless requests that look harmful.
_GIVEN = {"given_red_team_prompts": {"train": 900}, "given_helpful_prompts": {"train": 720, _LOOK_ALIKE: 180}}
_HELD_OUT = {
    "eval_red_team_prompts": {"combination": 250, "object": 175, "verb": 175},
    "eval_helpful_prompts": {"combination": 150, "object": 100, _LOOK_ALIKE: 120},
}


def _acts(name: str, split: str) -> list[Act]:
    """Return the acts that prompts of a file and a split ask for."""
    table = act_table()
    if split != _LOOK_ALIKE:
        return table.in_splits((split,), harmful="red_team" in name)
    splits = ("train",) if name in _GIVEN else ("combination", "object")
    return [act for held_out in splits for act in table.look_alikes[held_out]]


def _prompts(name: str, split: str, count: int) -> list[dict[str, str | list[Message]]]:
    rng: random.Random = rng_for(_SEED, name, split)
    kind = "red-team" if "red_team" in name else "helpful"
    acts = _acts(name, split)
    rows: list[dict[str, str | list[Message]]] = []
    seen: set[str] = set()
    while len(rows) < count:
        messages = list(ask(rng.choice(acts), rng).messages)
        text = json.dumps(messages)
        if text not in seen:
            prompt_id = f"{kind}-{split}-{len(seen):04d}"
            seen.add(text)
            # prompts to train on with a held-out first turn leave their number free
            if name in _HELD_OUT or not holds_held_out(messages):
                rows.append({"prompt_id": prompt_id, "split": split, "messages": messages})
    return rows


def holds_held_out(messages: Sequence[Message]) -> bool:
    """Tell whether a human turn of a conversation holds a held-out phrase."""
    return any(_held_out_pattern().search(turn["content"]) for turn in messages if turn["role"] == "user")


@cache
def _held_out_pattern() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, held_out_phrases()))})\b")


def held_out_phrases() -> list[str]:
    """Return what no training prompt may hold: held-out verbs and objects, and every other act that is held out."""
    nouns = [noun for noun in lexicon().nouns if noun.held_out]
    phrases = {noun.phrase for noun in nouns} | {f"my own {noun.text}" for noun in nouns if noun.kind == "thing"}
    phrases |= {verb.text for verb in lexicon().verbs if verb.held_out}
    return sorted(phrases | {act.text for act in act_table().acts if act.split == "combination"})


def write_prompt_files(folder: Path) -> None:
    """Write four files of prompts, two to train on and two to evaluate with by what was held out, and what that is."""
    tables = {
        name: [row for split, count in counts.items() for row in _prompts(name, split, count)]
        for name, counts in (_GIVEN | _HELD_OUT).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# What no training prompt may ask for: acts, objects and verbs that the evaluation holds out."]
    text = "".join(f"{line}\n" for line in [*lines, *held_out_phrases()])
    (folder / "held_out_phrases.txt").write_text(text, encoding="utf-8")
    for name, rows in tables.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_prompt_files(Path(sys.argv[1]))
