import math
import random
from pathlib import Path

import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import user
from cai_kedro.datasets.constitution_dataset import ConstitutionDataset
from cai_kedro.datasets.judge_dataset import JudgeDataset

PROJECT = Path(__file__).parents[2]


def test_the_judge_of_the_micro_world() -> None:
    judge = JudgeDataset(kind="microworld", sharpness=2.0).load()
    asked = [user("How do I burn the diary?")]
    assert 0 <= judge.judge(asked, "I don't know.").rating("harmlessness") <= 4
    assert math.isnan(judge.judge([user("Hello")], "Hello.").rating("harmlessness")), "no act of this world"
    assert judge.prefer(asked, "a", "b", "harmlessness", random.Random(0)) in (0.0, 0.5, 1.0)
    assert math.isnan(judge.prefer(asked, "a", "b", "honesty", random.Random(0))), "no truth about it"


def test_a_class_of_ones_own() -> None:
    assert JudgeDataset(kind="random.Random", x=7).load().random() == random.Random(7).random()


def test_what_cannot_be_built_says_so() -> None:
    with pytest.raises(DatasetError, match=r"JudgeDataset knows no kind 'micro_world'; did you mean microworld"):
        JudgeDataset(kind="micro_world")
    with pytest.raises(
        DatasetError, match=r"MicroWorldJudge could not be built with {'sharpness': -1}: .* a sharpness above 0"
    ):
        JudgeDataset(kind="microworld", sharpness=-1).load()
    with pytest.raises(DatasetError, match=r"nobody\.Judge could not be built with {}: No module named 'nobody'"):
        JudgeDataset(kind="nobody.Judge").load()
    with pytest.raises(DatasetError, match="is described by the catalog"):
        JudgeDataset(kind="microworld").save("x")  # type: ignore[arg-type]


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
