"""A referee that learned from what the run learns from is refused before anything runs."""

import json
from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.datasets.raters_dataset import RatersDataset
from cai_kedro.datasets.referee_dataset import RefereeDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.hooks.preflight_referee import referee_faults


def written(path: Path, prompts: list[str]) -> str:
    rows = [{"prompt": prompt, "chosen": "So.", "rejected": "No."} for prompt in prompts]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


ASKED = [f"What is {i}?" for i in range(60)]


@pytest.mark.parametrize(
    ("trained_on", "n"), [(ASKED, 60), (["what  IS 3?", "Other?"], 1), (["Other?"], 0)], ids=["file", "prompt", "none"]
)
def test_what_both_learn_from_is_told(tmp_path: Path, tiny_lm: LanguageModel, trained_on: list[str], n: int) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    given = written(tmp_path / "given.jsonl", trained_on)
    learned = {"filepath": written(tmp_path / "learned.jsonl", ASKED), "objective": "harmlessness"}
    catalog = DataCatalog(
        {
            "referee": RefereeDataset(
                kind="human_preference", comparisons=learned, base={"path": str(tmp_path / "base")}, folder="unused"
            ),
            "given_red_team_prompts": PromptsDataset(filepath=given),
            "human_raters": RatersDataset(kind="recorded", filepath=given, objective="harmlessness"),
        }
    )
    pipeline = Pipeline([Node(lambda referee: referee, "referee", "out", name="n")])
    told = list(referee_faults(pipeline, catalog))
    assert len(told) == (2 if n else 0)
    for fault, name in zip(told, ["given_red_team_prompts", "human_raters"], strict=False):
        assert f"learns from {n} conversations that also stand in {name!r}" in fault
        assert "Give the referee other comparisons" in fault


def test_other_referees_and_missing_files_are_told_elsewhere(tmp_path: Path) -> None:
    pipeline = Pipeline([Node(lambda referee: referee, "referee", "out", name="n")])
    for entry in (
        {"kind": "microworld", "sharpness": 2.0},
        {"kind": "recorded", "filepath": str(tmp_path / "none.csv")},
    ):
        assert not list(referee_faults(pipeline, DataCatalog({"referee": RefereeDataset(**entry)})))
