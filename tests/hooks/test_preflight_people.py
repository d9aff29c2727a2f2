"""Comparisons of people on foreign prompts are told before anything runs."""

import json
from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.datasets.raters_dataset import RatersDataset
from cai_kedro.hooks.preflight_people import comparison_faults


def _compare(human_raters: object, prompts: object) -> object:
    return human_raters


def written(path: Path, prompts: list[str], **more: str) -> str:
    rows = [{"prompt": prompt, "chosen": "So.", "rejected": "No.", **more} for prompt in prompts]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("compared", "objective", "n"),
    [
        (["What is 1?", "Other?"], "helpfulness", 0),
        (["Other?", "Yet another?"], "helpfulness", 2),
        (["What is 1?"], "harmlessness", 1),
    ],
    ids=["one", "none", "by another axis"],
)
def test_comparisons_on_no_given_prompt_are_told(tmp_path: Path, compared: list[str], objective: str, n: int) -> None:
    catalog = DataCatalog(
        {
            "human_raters": RatersDataset(
                kind="recorded", filepath=written(tmp_path / "compared.jsonl", compared), objective=objective
            ),
            "given_helpful_prompts": PromptsDataset(filepath=written(tmp_path / "given.jsonl", ["What is 1?", "2?"])),
        }
    )
    inputs = ["human_raters", "given_helpful_prompts"]
    pipeline = Pipeline([Node(_compare, inputs, "human_helpfulness_comparisons", name="compare")])
    told = list(comparison_faults(pipeline, catalog))
    assert bool(told) is bool(n)
    for fault in told:
        counted = n if objective == "helpfulness" else 0
        assert (
            f"compared.jsonl compares {counted} conversations by helpfulness, and none of them is among the 2" in fault
        )
        assert "given.jsonl); expected one at least" in fault
        assert "lineage.helpfulness" in fault
