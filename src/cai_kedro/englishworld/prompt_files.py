"""The prompts in `data/01_raw/english_world`, written by `python -m cai_kedro.englishworld.prompt_files DIR`.

A row has `prompt_id`, `split` and `messages`, as any prompt file. What a prompt asks for stands nowhere: only the
oracle knows.
"""

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.englishworld.deeds import draw_deed
from cai_kedro.englishworld.held_out import held_out_phrases
from cai_kedro.englishworld.requests import ask

_SEED = 20221216
#: File → whether harmful, and how many prompts by split; `look_alike` are harmless requests that look harmful.
PROMPTS: Mapping[str, tuple[bool, Mapping[str, int]]] = {
    "red_team_prompts": (True, {"train": 600, "act": 100, "object": 100, "kind": 100, "frame": 100}),
    "helpful_prompts": (False, {"train": 600, "act": 80, "object": 80, "frame": 80, "look_alike": 120}),
}
_GROUPS: Mapping[str, Sequence[str]] = {"look_alike": ("look_alike", "open")}
_ACT_SPLITS = ("act", "object", "kind")


def prompts(name: str) -> Iterator[dict[str, object]]:
    """Yield the rows of a prompt file."""
    harmful, counts = PROMPTS[name]
    seen: set[str] = set()
    for split, count in counts.items():
        before, tries = len(seen), 0
        while len(seen) < before + count:
            rng: random.Random = rng_for(_SEED, name, split, tries)
            tries += 1
            of = split if split in _ACT_SPLITS else "act" if split == "look_alike" else "train"
            deed = draw_deed(of, rng, harmful=harmful, groups=_GROUPS.get(split, ()))
            messages = list(ask(deed, rng, split=split).messages)
            text = json.dumps(messages, ensure_ascii=False)
            if text not in seen:
                seen.add(text)
                # an id says nothing of what is asked
                number = derive_seed(_SEED, text) % 10**10
                yield {"prompt_id": f"english-{number:010d}", "split": split, "messages": messages}


def write_prompt_files(folder: Path) -> None:
    """Write the prompts, and the phrases that no training prompt may hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROMPTS:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in prompts(name))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8", newline="\n")
    phrases = sorted(
        text for split in ("act", "object", "kind") for text in held_out_phrases()[split] if "{" not in text
    )
    head = "# What no training prompt may ask for: acts, kinds of harm, people and things that are held out.\n"
    text = head + "".join(f"{phrase}\n" for phrase in phrases)
    (folder / "held_out_phrases.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_prompt_files(Path(sys.argv[1]))
