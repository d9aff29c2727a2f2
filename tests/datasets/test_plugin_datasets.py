import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import user
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.constitution_dataset import ConstitutionDataset
from cai_kedro.datasets.judge_dataset import JudgeDataset
from cai_kedro.datasets.prompt_rows import prompt_id_of
from cai_kedro.datasets.raters_dataset import RatersDataset

PROJECT = Path(__file__).parents[2]


def test_the_judge_of_the_micro_world() -> None:
    judge = JudgeDataset(kind="microworld", sharpness=2.0).load()
    assert 0 <= judge.judge([user("Hello")], "Hello.").harmlessness <= 4
    assert judge.prefer([user("Hello")], "a", "b", "harmlessness", random.Random(0)) in (0.0, 0.5, 1.0)


def test_a_class_of_ones_own() -> None:
    assert JudgeDataset(kind="random.Random", x=7).load().random() == random.Random(7).random()


def test_what_cannot_be_built_says_so() -> None:
    with pytest.raises(DatasetError, match=r"JudgeDataset knows no kind 'micro_world'; did you mean microworld"):
        JudgeDataset(kind="micro_world")
    with pytest.raises(
        DatasetError, match=r"MicroWorldJudge could not be built with {'sharpness': -1}: sharpness must"
    ):
        JudgeDataset(kind="microworld", sharpness=-1).load()
    with pytest.raises(DatasetError, match=r"nobody\.Judge could not be built with {}: No module named 'nobody'"):
        JudgeDataset(kind="nobody.Judge").load()
    with pytest.raises(DatasetError, match="is described by the catalog"):
        JudgeDataset(kind="microworld").save("x")  # type: ignore[arg-type]


def _recorded(path: Path, *rows: dict[str, Any]) -> RatersDataset:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return RatersDataset(kind="recorded", filepath=path)


ROW = {"prompt": "How?", "chosen": "So.", "rejected": "No.", "objective": "helpfulness"}


def _pairs(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"prompt_id": [prompt_id_of([user(text)]) for text in texts]})


def test_recorded_comparisons_by_objective_and_prompt(tmp_path: Path) -> None:
    many = [{**ROW, "chosen": f"So {i}."} for i in range(40)]
    others = [{**ROW, "objective": "harmlessness"}, {**ROW, "prompt": "Why?"}]
    found = _recorded(tmp_path / "r.jsonl", *many, *others).load().compare(_pairs("How?"), "helpfulness", 0)
    assert len(check_table("comparisons", found)) == 40
    better = found["response_a"].where(found["p_a_better"] == 1.0, found["response_b"])
    assert sorted(better) == sorted(row["chosen"] for row in many)
    assert set(found["p_a_better"]) == {0.0, 1.0}  # chosen stands on either side


def test_no_recorded_comparison_on_the_prompts(tmp_path: Path) -> None:
    raters = _recorded(tmp_path / "r.jsonl", ROW).load()
    with pytest.raises(ValueError, match=r"r\.jsonl has no comparison under helpfulness on any of the 1 prompts"):
        raters.compare(_pairs("What?"), "helpfulness", 0)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**ROW, "rejected": " So."}, "line 1 has the same answer as chosen and as rejected"),
        ({**ROW, "objective": "honesty"}, "line 1 has the objective 'honesty'; expected harmlessness or helpfulness"),
        ({key: ROW[key] for key in ("prompt", "chosen", "objective")}, "line 1 misses the column 'rejected'"),
        ({**ROW, "chosen": ""}, "line 1 has no text in 'chosen'"),
    ],
)
def test_faults_of_a_file_of_comparisons(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=rf"r\.jsonl: {told}"):
        _recorded(tmp_path / "r.jsonl", row).load()


def test_the_shipped_constitution() -> None:
    dataset = ConstitutionDataset(filepath=PROJECT / "conf" / "base" / "constitution")
    assert dataset.exists()
    assert len(dataset.load().critique_principles) == 16


def test_a_constitution_that_is_not_there(tmp_path: Path) -> None:
    dataset = ConstitutionDataset(filepath=tmp_path / "none")
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="none"):
        dataset.load()
    with pytest.raises(DatasetError, match="written by people"):
        dataset.save("x")  # type: ignore[arg-type]
