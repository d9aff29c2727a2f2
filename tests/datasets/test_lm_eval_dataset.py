"""What lm-eval 0.4.13 wrote, read back: the last time counts, and a fault is told with its line."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.datasets.lm_eval_dataset import COLUMNS, LmEvalDataset

EARLY, LATE = "2026-11-28T04-09-36.256267", "2026-11-29T01-00-00.000001"


def sample(number: int, right: float, **doc: Any) -> dict[str, Any]:
    """Return what counts of a line that `lm_eval run --log_samples` wrote."""
    return {
        "doc_id": number,
        "doc": {"choices": ["(A)", "(B)"], "label": 1, **doc},
        "doc_hash": f"q{number}",
        "acc": right,
    }


def write(folder: Path, policy: str, task: str, samples: list[Any], time: str = EARLY, model: str = "__m") -> Path:
    file = folder / policy / model / f"samples_{task}_{time}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(each if isinstance(each, str) else f"{json.dumps(each)}\n" for each in samples))
    return file


def test_every_item_of_every_policy(tmp_path: Path) -> None:
    write(tmp_path, "sl_cai", "cai_truthfulqa_mc1", [sample(0, 1.0), sample(1, 0.0)])
    write(tmp_path, "sl_cai", "cai_hhh", [sample(0, 1.0, item=0), sample(1, 0.0, item=0)])
    write(tmp_path, "rl_cai", "cai_truthfulqa_mc1", [sample(0, 0.0)])
    write(tmp_path, "rl_cai", "hellaswag", [sample(0, 0.0)])
    table = LmEvalDataset(filepath=tmp_path).load()
    assert table.to_dict("split")["data"] == [
        ["rl_cai", "truthfulqa_mc1", 0, "q0", 0.0],
        ["sl_cai", "hhh", 0, "q0", 1.0],
        ["sl_cai", "hhh", 0, "q1", 0.0],
        ["sl_cai", "truthfulqa_mc1", 0, "q0", 1.0],
        ["sl_cai", "truthfulqa_mc1", 1, "q1", 0.0],
    ]


def test_the_last_time_counts_whatever_the_model_s_folder_is(tmp_path: Path) -> None:
    write(tmp_path, "sl_cai", "cai_truthfulqa_mc1", [sample(0, 1.0)], LATE, "__a")
    write(tmp_path, "sl_cai", "cai_truthfulqa_mc1", [sample(0, 0.0)], EARLY, "__z")
    assert LmEvalDataset(filepath=tmp_path).load()["right"].tolist() == [1.0]


def test_null_is_an_empty_table() -> None:
    dataset = LmEvalDataset(filepath=None)
    assert dataset.exists()
    assert list(dataset.load().columns) == list(COLUMNS)
    assert dataset.load().empty


@pytest.mark.parametrize(
    ("task", "line", "told"),
    [
        ("cai_truthfulqa_mc1", "{", r"line 2: cannot be read as an item of cai_truthfulqa_mc1 \(JSONDecodeError"),
        ("cai_truthfulqa_mc1", '{"doc_id": 1, "doc_hash": "q"}', r"line 2: .*KeyError: 'acc'"),
        ("cai_hhh", json.dumps(sample(1, 0.0)), r"line 2: .*KeyError: 'item'.*run lm-eval again with the tasks of"),
    ],
)
def test_a_line_that_cannot_be_read(tmp_path: Path, task: str, line: str, told: str) -> None:
    write(tmp_path, "sl_cai", task, [sample(0, 1.0, item=0), line])
    with pytest.raises(DatasetError, match=told):
        LmEvalDataset(filepath=tmp_path).load()


def test_a_folder_without_samples_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "sl_cai").mkdir()
    with pytest.raises(DatasetError, match=r"holds nothing of lm-eval; expected <policy>/<model>/samples_cai_….jsonl"):
        LmEvalDataset(filepath=tmp_path).load()
    assert not LmEvalDataset(filepath=tmp_path / "nowhere").exists()
    with pytest.raises(DatasetError, match="is written by lm-eval"):
        LmEvalDataset(filepath=tmp_path).save(pd.DataFrame())  # type: ignore[arg-type]
