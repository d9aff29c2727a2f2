"""One entry in the lineage is one more arm: in the tables, the figures and the report."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.project_copy import PROJECT, kedro_run

CONSTITUTION = PROJECT / "conf" / "base" / "constitution"

#: One arm against a preference model of its own, and those of conf/base that have none.
ENTRIES = {
    "rl_again": {
        "start": "rl_cai",
        "comparisons": ["ai", "sl_helpfulness"],
        "differences": {"rl": {"rollouts": 1, "snapshot_every": 1, "warmup_rollouts": 0}, "snapshots": {"prompts": 8}},
        "compared_with": "rl_cai",
    },
    "rl_cai_dpo": {"enabled": True},
    "rl_cai_judge": {"enabled": True},
}
#: In which node each of them begins, beside the one that gathers its prompts.
NEW = {"rl_again": ("mix_comparisons",), "rl_cai_dpo": ("mix_comparisons",), "rl_cai_judge": ()}
#: What only a preference model has.
SCORED = ("preference_accuracy_metrics", "choices", "preference_curves")


def newest(project: Path, name: str) -> Path:
    (folder,) = (path for path in (project / "data" / "smoke").rglob(name) if path.is_dir())
    return max(folder.iterdir()) / name


@pytest.mark.slow
def test_an_arm_is_one_entry(finished_run: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished_run, project)
    (project / "conf" / "smoke" / "parameters_more.yml").write_text(yaml.safe_dump({"lineage": {"policies": ENTRIES}}))
    begin = ",".join(f"{arm}.{node}" for arm, first in NEW.items() for node in (*first, "gather_rl_prompts"))
    done = kedro_run(project, "--env=smoke", f"--from-nodes={begin}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    for arm in NEW:
        assert arm in set(pd.read_csv(newest(project, "policy_summary.csv"))["policy"])
        for name in ("elo_metrics", "behaviour_metrics", "preference_accuracy_metrics"):
            metrics = json.loads(newest(project, f"{name}.json").read_text())
            assert _has(name, arm) == bool([metric for metric in metrics if arm in metric.split(".")]), name
        for table in ("policy_responses", "policy_head_to_heads", "snapshot_responses"):
            answers = pd.read_parquet(newest(project, f"{table}.parquet"))
            policies = {name for column in answers if column.startswith("policy") for name in answers[column]}
            assert [name for name in policies if name.startswith(arm)], table
        for name in ("frontier", "ratings", "behaviours", "over_training", "choices", "preference_curves", "rl_curves"):
            assert _has(name, arm) == (arm in newest(project, f"{name}_figure.json").read_text()), name
        assert arm in (project / "data" / "smoke" / "08_reporting" / "report.html").read_text()
        assert [line for line in done.stdout.splitlines() if line.split()[:1] == [arm]], "the end table"
    missing = newest(project, "not_measured.csv").read_text()
    assert "rl_cai_dpo learns by dpo, from comparisons without a preference model" in missing
    assert "rl_cai_judge learns by ppo, from the labeller's judgement as the reward without a" in missing
    assert "rl_again learns by" not in missing
    (questions,) = (project / "data" / "smoke").rglob("rl_cai_judge.reward_questions.parquet/*/*.parquet")
    principles = yaml.safe_load((CONSTITUTION / "preference_principles.yml").read_text())
    assert set(pd.read_parquet(questions)["principle_id"]) <= {principle["id"] for principle in principles}


def _has(name: str, arm: str) -> bool:
    return arm == "rl_again" or name not in SCORED
