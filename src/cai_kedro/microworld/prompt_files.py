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
from cai_kedro.microworld.acts import act_table
from cai_kedro.microworld.replies import ask

_SEED = 20221215
_GIVEN = {"given_red_team_prompts": (True, 900), "given_helpful_prompts": (False, 900)}
_HELD_OUT = {
    "eval_red_team_prompts": (True, {"combination": 200, "act": 200, "object": 100, "verb": 100}),
    "eval_helpful_prompts": (False, {"combination": 150, "object": 100}),
}


def _prompts(name: str, split: str, harmful: bool, count: int) -> list[dict[str, str | list[Message]]]:
    rng: random.Random = rng_for(_SEED, name, split)
    kind = "red-team" if harmful else "helpful"
    rows: list[dict[str, str | list[Message]]] = []
    seen: set[str] = set()
    while len(rows) < count:
        messages = list(ask(rng.choice(act_table().by_split[split, harmful]), rng).messages)
        text = json.dumps(messages)
        if text not in seen:
            prompt_id = f"{kind}-{split}-{len(seen):04d}"
            seen.add(text)
            # a first turn may ask for any act; prompts to train on with a held-out one leave their number free
            if split != "train" or not holds_held_out(messages):
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
    phrases = {
        {"verb": act.verb.text, "object": act.noun.phrase}.get(act.split, act.text)
        for act in act_table().acts
        if act.split != "train"
    }
    return sorted(phrases)


def write_prompt_files(folder: Path) -> None:
    """Write four files of prompts, two to train on and two to evaluate with by what was held out, and what that is."""
    tables = {name: _prompts(name, "train", harmful, count) for name, (harmful, count) in _GIVEN.items()}
    for name, (harmful, counts) in _HELD_OUT.items():
        tables[name] = [row for split, count in counts.items() for row in _prompts(name, split, harmful, count)]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# What no training prompt may ask for: acts, objects and verbs that the evaluation holds out."]
    text = "".join(f"{line}\n" for line in [*lines, *held_out_phrases()])
    (folder / "held_out_phrases.txt").write_text(text, encoding="utf-8")
    for name, rows in tables.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_prompt_files(Path(sys.argv[1]))
