"""The prompts of the micro world, which `python -m cai_kedro.microworld.prompt_files DIR` wrote to `data/01_raw`."""

import json
import random
import sys
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
    rows: list[dict[str, str | list[Message]]] = []
    seen: set[str] = set()
    while len(rows) < count:
        messages = list(ask(rng.choice(act_table().by_split[split, harmful]), rng).messages)
        text = json.dumps(messages)
        if text not in seen:
            seen.add(text)
            kind = "red-team" if harmful else "helpful"
            rows.append({"prompt_id": f"{kind}-{split}-{len(rows):04d}", "split": split, "messages": messages})
    return rows


def write_prompt_files(folder: Path) -> None:
    """Write the four files of prompts: two to train on, two to evaluate with, split by what was held out."""
    tables = {name: _prompts(name, "train", harmful, count) for name, (harmful, count) in _GIVEN.items()}
    for name, (harmful, counts) in _HELD_OUT.items():
        tables[name] = [row for split, count in counts.items() for row in _prompts(name, split, harmful, count)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_prompt_files(Path(sys.argv[1]))
