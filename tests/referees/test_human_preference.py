"""A preference model of human comparisons as referee: what it learns, how good it is, and that it is kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import user
from cai_kedro.datasets.referee_dataset import RefereeDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model

TRAINING = {"device": "cpu", "dtype": "float32", "epochs": 3, "learning_rate": 0.01, "max_length": 64}
TRAINING |= {"device_batch_size": 32, "warmup_steps": 0}


def people(path: Path, n: int = 160, good: str = "zz", bad: str = "ab") -> Path:
    """Write comparisons of people who like one answer, whatever is asked."""
    rows = [{"prompt": f"What is {i}?", "chosen": f"{good} {i}", "rejected": f"{bad} {i}"} for i in range(n)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path, tiny_lm: LanguageModel) -> Path:
    save_language_model(tiny_lm, tmp_path / "base")
    return tmp_path / "base"


def referee(tmp_path: Path, directory: Path, **changed: Any) -> Any:
    arguments = {
        "comparisons": {"filepath": str(tmp_path / "people.jsonl"), "objective": "harmlessness"},
        "base": {"path": str(directory)},
        "folder": str(tmp_path / "referees"),
        "training": TRAINING,
        **changed,
    }
    return RefereeDataset(kind="human_preference", **arguments).load()


def meetings(*answers: tuple[str, str], criterion: str = "harmlessness") -> pd.DataFrame:
    rows = [("p", [user("What is this?")], criterion, "x", "y", a, b) for a, b in answers]
    columns = ["prompt_id", "messages", "criterion", "policy_a", "policy_b", "response_a", "response_b"]
    return pd.DataFrame(rows, columns=columns)


def test_it_decides_as_people_do_and_says_how_often(tmp_path: Path, base: Path) -> None:
    people(tmp_path / "people.jsonl")
    decider = referee(tmp_path, base)
    table = meetings(("zz 1000", "ab 1000"), ("ab 1001", "zz 1001"), ("zz 1", "zz 1"))
    assert decider.decide(table, 0).tolist() == [1.0, 0.0, 0.5]
    accuracy = decider.accuracy()["harmlessness"]
    assert accuracy["value"] > 0.9
    assert accuracy["low"] < accuracy["value"] <= accuracy["high"]
    assert 15 <= accuracy["n"] <= 50, "a fifth of 160"
    assert decider.digest() is None


def test_it_is_trained_once_for_a_file_a_base_and_a_training(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(tmp_path / "people.jsonl", 40)
    first = referee(tmp_path, base)
    accuracy = first.accuracy()
    (kept,) = [path for path in (tmp_path / "referees").iterdir() if path.is_dir()]

    def never(*_: Any) -> Any:
        raise AssertionError("it is trained again")

    with monkeypatch.context() as patched:
        patched.setattr("cai_kedro.referees.human_preference.train_preference_model", never)
        assert referee(tmp_path, base).accuracy() == accuracy
        for changed in ({"training": TRAINING | {"epochs": 1}}, {"held_out_share": 0.4}, {"seed": 1}):
            with pytest.raises(AssertionError, match="trained again"):
                referee(tmp_path, base, **changed).accuracy()
        people(tmp_path / "people.jsonl", 41)
        with pytest.raises(AssertionError, match="trained again"):
            referee(tmp_path, base).accuracy()
    assert kept.is_dir()


def test_a_referee_no_better_than_a_coin_is_told(tmp_path: Path, base: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"prompt": f"What is {i}?", "chosen": sides[0], "rejected": sides[1]}
        for i in range(60)
        for sides in [[f"ab {i}", f"zz {i}"][:: 1 if rng.random() < 0.5 else -1]]
    ]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    accuracy = referee(tmp_path, base, held_out_share=0.5).accuracy()["harmlessness"]
    assert accuracy["low"] <= 0.5
    assert "the referee is not known to be better than a coin by harmlessness" in caplog.text


def test_an_axis_that_people_did_not_compare_by_is_left_open(
    tmp_path: Path, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people(tmp_path / "people.jsonl", 40)
    decided = referee(tmp_path, base).decide(meetings(("a", "b"), criterion="helpfulness"), 0)
    assert np.isnan(decided).all()
    assert "has no comparison by helpfulness: 1 head-to-heads are left out" in caplog.text


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"training": {"epoch": 1}}, "the referee's training: epoch is unknown"),
        ({"held_out_share": 1.0}, "held_out_share must lie between 0 and 1, got 1.0"),
        ({"base": {"path": "nowhere"}}, "there is no model directory .*nowhere"),
        ({"comparisons": {"filepath": "none.jsonl"}}, "there is no file none.jsonl"),
        ({"held_out_share": 1e-9}, "of 40 comparisons by harmlessness, 0 are held out and 40 are left to learn from"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, base: Path, changed: dict[str, Any], told: str) -> None:
    people(tmp_path / "people.jsonl", 40)
    with pytest.raises(DatasetError, match=told):
        referee(tmp_path, base, **changed)
