"""The one command: a model that nobody knows, and nothing else, goes to the report."""

from pathlib import Path

import pytest

from tests.chat_models import chat_model, save_as_hub_gives
from tests.project_copy import copy_project, kedro_run

#: Next to nothing of everything, for models that were never trained.
SMALL = {
    "check_labeller": {"pairs": 8, "critiques": 2, "insist": "true"},
    "shards.max_quarantined": 0.9,
    "data_generation": {
        "red_team": {"lists": 2, "keep": 3, "sampling.max_new_tokens": 24},
        "initial_responses": {"prompts": 24, "sampling.max_new_tokens": 24},
        "helpful_responses": {"prompts": 16, "sampling.max_new_tokens": 24},
        "revision": {"rounds": 1, "few_shots": 1, "sampling.max_new_tokens": 24},
    },
    "preference_labeling": {
        "harmlessness_pairs": {"prompts": 24, "sampling.max_new_tokens": 24},
        "sl_helpful_pairs": {"prompts": 16, "sampling.max_new_tokens": 24},
        "labels.few_shots": 1,
        "cot_labels": {"few_shots": 1, "sampling.max_new_tokens": 24},
    },
    "rlhf": {
        "labels": {"min_spread": 0.0, "max_contradictions": 1.0},
        "gate": {"held_out_share": 0.4, "min_accuracy": 0.0},
        "prompts": {"red_team": 8, "helpful": 8},
        "rl": {"prompts_per_rollout": 4, "samples_per_prompt": 2, "minibatch_size": 8, "max_new_tokens": 16},
        "snapshots": {"prompts": 8, "n_bootstrap": 100},
    },
    "evaluation": {
        "prompts": {"harmlessness": 8, "helpfulness": 8},
        "sampling.max_new_tokens": 24,
        "n_bootstrap": 100,
        "snapshots": {"harmlessness": 4, "helpfulness": 4},
    },
}  # fmt: skip


def _flat(block: dict[str, object], path: str = "") -> list[str]:
    return [
        part
        for name, value in block.items()
        for part in (_flat(value, f"{path}{name}.") if isinstance(value, dict) else [f"{path}{name}={value}"])
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["chatml", "turns", "brackets"])
def test_a_model_goes_from_nothing_to_the_report(tmp_path: Path, family: str) -> None:
    project = copy_project(tmp_path)
    save_as_hub_gives(chat_model(family, context=16384), str(project / "models" / "mine"))
    done = kedro_run(project, "--env=hub", f"--params={','.join(['model=models/mine', *_flat(SMALL)])}")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    report = (project / "data" / "hub" / "08_reporting" / "report.html").read_text(encoding="utf-8")
    for told in ("no referee", "no people"):
        assert told in done.stdout, "the end of a run says what was not measured"
        assert told in report
