"""The adapter that comes with the package: skills that a small English model was taught, and how they got there.

`python scripts/ship_skills.py --env=english` puts the adapter that `kedro run --pipelines=teach_skills --env=english`
made into the package, with its log, what it can do, a card, and a fingerprint of all that made it.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from cai_kedro.core.code import files_digest

CONFIG, WEIGHTS, BACKBONE = "adapter_config.json", "adapter_model.safetensors", "backbone.json"
LOG, SKILLS, FINGERPRINT, CARD = "training_log.csv", "skills.csv", "fingerprint.json", "README.md"
MOST_BYTES = 12_000_000
#: All that decides what is learnt, with the world itself.
_SOURCES = (
    "core/asks.py",
    "core/layouts/base.py",
    "core/layouts/chat.py",
    "core/layouts/hh.py",
    "core/seeding.py",
    "engines/text_ids.py",
    "learning/batching.py",
    "learning/lesson_rows.py",
    "learning/lessons.py",
    "learning/value_head.py",
)
#: Files of the world that write no lesson.
_READERS = (
    "held_out.py",
    "judge.py",
    "judge_table.py",
    "judge_table.yml",
    "oracle.py",
    "prompt_files.py",
    "shipped.py",
)


def shipped_adapter() -> Path:
    """Return the directory of the adapter in the package, whether or not there is one."""
    return Path(str(files("cai_kedro.englishworld").joinpath("adapter")))


def code_digest() -> str:
    """Return the sha256 of the code and the lexicon that decide what is learnt; docstrings do not count."""
    root = Path(str(files("cai_kedro")))
    world = root / "englishworld"
    own = [path for path in sorted(world.rglob("*")) if path.suffix in (".py", ".yml") and path.name not in _READERS]
    return files_digest([*_SOURCES, *(path.relative_to(root).as_posix() for path in own)])


def fingerprint(params: Mapping[str, Any], seed: int, directory: Path) -> dict[str, Any]:
    """Return what identifies an adapter: code and lexicon, the model it belongs on, seed, parameters and weights."""
    return {
        "code": code_digest(),
        "base": json.loads((directory / BACKBONE).read_text(encoding="utf-8")),
        "weights": hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest(),
        "seed": seed,
        "params": dict(params),
    }


def ship(
    adapter: Path,
    curves: pd.DataFrame,
    skills: pd.DataFrame,
    params: Mapping[str, Any],
    seed: int,
    base: str,
    target: Path | None = None,
) -> Path:
    """Copy a taught adapter into the package, with `curves`, the table of skills, a card and a fingerprint.

    `base` names the model that it was taught on, for who has another one. Raises `ValueError` for an adapter of more
    than 12 MB, which is too much for a package.
    """
    size = (adapter / WEIGHTS).stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"the adapter in {adapter} has {size / 1e6:.1f} MB, and the package takes {MOST_BYTES / 1e6:.0f}; lower "
            f"teach_skills.teaching.training.lora.rank, or upper_layers"
        )
    target = target or shipped_adapter()
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(adapter / name, target / name)
    known = json.loads((adapter / BACKBONE).read_text(encoding="utf-8"))
    _write(target / BACKBONE, {"name": base, **{key: value for key, value in known.items() if key != "path"}})
    curves.to_csv(target / LOG, index=False, float_format="%.5f")
    skills.to_csv(target / SKILLS, index=False, float_format="%.4f")
    _write(target / FINGERPRINT, fingerprint(params, seed, target))
    (target / CARD).write_text(_card(base, skills), encoding="utf-8")
    return target


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _card(base: str, skills: pd.DataFrame) -> str:
    steps = int(skills["step"].min()), int(skills["step"].max())
    rows = skills[(skills["part"] == "all") & skills["step"].isin(steps)]
    told = rows.assign(told=[f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in rows.itertuples()])
    wide = told.pivot(index=["set", "skill", "figure"], columns="step", values="told").fillna("–")
    counts = rows[rows["step"] == steps[1]].set_index(["set", "skill", "figure"])["n"]
    lines = [
        f"| {of} | {skill} | {figure} | {counts.get((of, skill, figure), 0)} | {' | '.join(row)} |"
        for (of, skill, figure), row in zip(wide.index, wide.itertuples(index=False), strict=True)
    ]
    return "\n".join(
        [
            "---",
            "library_name: peft",
            "tags: [english-world, constitutional-ai]",
            "---",
            "# Skills of the method, as an adapter",
            "",
            f"LoRA on {base}. It was taught on the lessons of `cai_kedro.englishworld` by",
            "`kedro run --pipelines=teach_skills --env=english`, with the parameters in `fingerprint.json`.",
            f"`{LOG}` has the loss along the way, `{SKILLS}` what it could do, part by part. A test compares the",
            "digest of the code in the fingerprint with the code.",
            "",
            "Before (step 0) and at the end, with 95 % intervals over items. One seed, one training.",
            "",
            f"| set | skill | figure | n | {' | '.join(f'step {step}' for step in wide.columns)} |",
            f"| --- | --- | --- | --- | {' | '.join('---' for _ in wide.columns)} |",
            *lines,
            "",
            "It judges, criticises and revises short texts like those lessons. It is no filter and no adviser: it is",
            "wrong as often as the table says, and more often on longer texts. docs/guides/teach_skills.md",
            "",
        ]
    )
