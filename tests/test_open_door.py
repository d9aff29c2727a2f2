"""`kedro run --env=hub --params=model=<directory>` on strangers' checkpoints: from nothing to the report."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cai_kedro.engines.language_model import LanguageModel
from tests.checkpoints import CHATML, CHECKPOINTS
from tests.project_copy import copy_project, kedro_run

pytestmark = pytest.mark.slow

_SAMPLING = {"max_new_tokens": 12}
_TRAINING = {"batch_size": 8, "device_batch_size": 8, "max_length": 2048, "warmup_steps": 1, "log_every": 1}

#: 40 prompts, and models that know nothing: every gate is open, so that all stages are seen.
SMALL: dict[str, Any] = {
    "check_labeller": {"pairs": 12, "critiques": 4, "insist": True},
    "shards": {"max_quarantined": 0.9},
    "data_generation": {
        "red_team": {"lists": 2, "keep": 4, "sampling": _SAMPLING},
        "initial_responses": {"prompts": 12, "sampling": _SAMPLING},
        "helpful_responses": {"prompts": 8, "samples": 1, "sampling": _SAMPLING},
        "revision": {"rounds": 1, "few_shots": 1, "sampling": _SAMPLING},
    },
    "sl_cai": {"fine_tuning": {**_TRAINING, "learning_rate": 1e-4}},
    "preference_labeling": {
        "harmlessness_pairs": {"prompts": 12, "pairs_per_prompt": 1, "sampling": _SAMPLING},
        "sl_helpful_pairs": {"prompts": 8, "pairs_per_prompt": 1, "sampling": _SAMPLING},
        "labels": {"few_shots": 1},
        "cot_labels": {"few_shots": 1, "sampling": _SAMPLING},
    },
    "rlhf": {
        "labels": {"min_spread": 0.0, "max_contradictions": 1.0},
        "preference": {**_TRAINING, "learning_rate": 1e-4},
        "gate": {"held_out_share": 0.4, "min_accuracy": 0.0, "batch_size": 8},
        "rl": {
            "ppo": {
                "rollouts": 2,
                "prompts_per_rollout": 4,
                "samples_per_prompt": 2,
                "minibatch_size": 4,
                "ppo_epochs": 1,
                "warmup_rollouts": 1,
                "max_new_tokens": 8,
                "snapshot_every": 1,
            }
        },
        "snapshots": {"prompts": 4, "n_bootstrap": 100},
    },
    "lineage": {
        "policies": {
            name: {"differences": {"rl": {"snapshot_every": 1, "rollouts": 2}, "snapshots": {"prompts": 4}}}
            for name in ("rl_cai", "rl_cai_cot")
        }
    },
    "evaluation": {
        "prompts": {"harmlessness": 12, "helpfulness": 8},
        "sampling": _SAMPLING,
        "n_bootstrap": 100,
        "revisions": {"prompts": 8},
        "snapshots": {"harmlessness": 4, "helpfulness": 4},
    },
}
FIRST_STAGES = "base_model,data_generation,sl_cai"
#: CI takes three to the report; with this variable set all of them go (CONTRIBUTING.md).
ALL_TO_THE_REPORT = bool(os.environ.get("CAI_KEDRO_ALL_CHECKPOINTS"))
TO_THE_REPORT = sorted(CHECKPOINTS) if ALL_TO_THE_REPORT else ["qwen2", "gemma3", "gpt2"]


def _project(folder: Path) -> Path:
    """Return a project whose `hub` has small sizes; the command stays the one that a stranger types."""
    project = copy_project(folder)
    file = project / "conf" / "hub" / "parameters.yml"
    file.write_text(yaml.safe_dump(_merged(yaml.safe_load(file.read_text()), SMALL), sort_keys=False))
    return project


def _merged(into: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for name, value in changes.items():
        merged[name] = _merged(merged.get(name) or {}, value) if isinstance(value, dict) else value
    return merged


def _run(tmp_path: Path, make: Callable[[Path], None], *arguments: str) -> tuple[Path, str]:
    make(tmp_path / "stranger")
    return _stages(tmp_path, tmp_path / "stranger", *arguments)


def _stages(tmp_path: Path, model: Path, *arguments: str) -> tuple[Path, str]:
    project = _project(tmp_path / "project")
    done = kedro_run(project, "--env=hub", f"--params=model={model}", *arguments)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return project / "data" / "hub", done.stdout


def _newest(data: Path, name: str) -> Path:
    (file,) = list(data.glob(f"0*/{name}"))
    return max(file.glob("*")) / name


@pytest.mark.parametrize("name", TO_THE_REPORT)
def test_a_strangers_model_goes_from_nothing_to_the_report(name: str, tmp_path: Path) -> None:
    _check_report(*_run(tmp_path, CHECKPOINTS[name]))


def _check_report(data: Path, terminal: str) -> None:
    page = (data / "08_reporting" / "report.html").read_text(encoding="utf-8")
    answers = pd.read_parquet(_newest(data, "policy_responses.parquet"))
    assert set(answers["policy"]) == {"pretrained", "sl_cai", "rl_cai", "rl_cai_cot"}, "the given one is pretrained"
    assert answers.groupby("policy").size().eq(20).all()
    for place in (page, terminal):
        assert "no referee" in place, "the page and the end of a run say what was not measured"


def test_a_strangers_gguf_file_takes_the_first_stages(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    pytest.importorskip("gguf", reason="gguf is not installed")
    from tests.gguf_file import write_byte_level  # noqa: PLC0415 - needs gguf

    file = tmp_path / "stranger.gguf"
    tiny_lm.model.config.max_position_embeddings = 16384  # a byte is a token, and a critique shows worked examples
    write_byte_level(tiny_lm, file, CHATML)
    if ALL_TO_THE_REPORT:
        _check_report(*_stages(tmp_path, file))
    else:
        _check_first_stages(_stages(tmp_path, file, f"--pipelines={FIRST_STAGES}")[0])


@pytest.mark.parametrize("name", sorted(set(CHECKPOINTS) - set(TO_THE_REPORT)))
def test_the_first_stages_take_a_strangers_model(name: str, tmp_path: Path) -> None:
    _check_first_stages(_run(tmp_path, CHECKPOINTS[name], f"--pipelines={FIRST_STAGES}")[0])


def _check_first_stages(data: Path) -> None:
    rows = pd.read_parquet(_newest(data, "sl_rows.parquet"))
    assert set(rows["source"]) == {"revision", "helpful"}
