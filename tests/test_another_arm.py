"""One entry in the lineage is one more arm: in the tables, the figures and the report."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.project_copy import kedro_run

ENTRY = {
    "rl_again": {
        "start": "rl_cai",
        "comparisons": ["ai", "sl_helpfulness"],
        "differences": {"rl": {"rollouts": 1, "snapshot_every": 1, "warmup_rollouts": 0}, "snapshots": {"prompts": 8}},
        "compared_with": "rl_cai",
    }
}


def newest(project: Path, name: str) -> Path:
    (folder,) = (path for path in (project / "data" / "smoke").rglob(name) if path.is_dir())
    return max(folder.iterdir()) / name


@pytest.mark.slow
def test_an_arm_is_one_entry(finished_run: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished_run, project)
    (project / "conf" / "smoke" / "parameters_more.yml").write_text(yaml.safe_dump({"lineage": {"policies": ENTRY}}))
    done = kedro_run(project, "--env=smoke", "--from-nodes=rl_again.mix_comparisons,rl_again.gather_rl_prompts")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    assert "rl_again" in set(pd.read_csv(newest(project, "policy_summary.csv"))["policy"])
    for name in ("elo_metrics", "behaviour_metrics", "preference_accuracy_metrics"):
        metrics = json.loads(newest(project, f"{name}.json").read_text())
        assert [metric for metric in metrics if "rl_again" in metric.split(".")], name
    for table in ("policy_responses", "policy_head_to_heads", "snapshot_responses"):
        answers = pd.read_parquet(newest(project, f"{table}.parquet"))
        policies = {name for column in answers if column.startswith("policy") for name in answers[column]}
        assert [name for name in policies if name.startswith("rl_again")], table
    for name in ("frontier", "ratings", "behaviours", "over_training", "choices", "preference_curves", "rl_curves"):
        assert "rl_again" in newest(project, f"{name}_figure.json").read_text(), name
    assert "rl_again" in (project / "data" / "smoke" / "08_reporting" / "report.html").read_text()
    assert [line for line in done.stdout.splitlines() if line.split()[:1] == ["rl_again"]], "the end table"
