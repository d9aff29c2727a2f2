"""Two processes learn what one learns: the same losses, the same weights, and nothing left behind."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import launch
from cai_kedro.learning.preference import PreferenceParams, train_preference_model, with_score_head
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.models.adapters import prepared
from tests.adapters import LORA, WHOLE
from tests.learning.forked_ranks import run_forked
from tests.learning.rl.test_ppo import prompt_table, settings_of
from tests.learning.rl.test_ppo import settings as ppo_settings
from tests.learning.test_parts import ROWS, TRAINING, _answers, _comparisons, user

TWO = Processes(processes=2, sharding="none")
#: 13 rows in batches of 8: the last five do not share out.
LEARNS = {**TRAINING, "learning_rate": 1e-3, "epochs": 2, "max_grad_norm": 1.0}
ROWS_TO_LEARN = pd.DataFrame(
    {"row_id": range(ROWS), "messages": [[user("Hi")]] * ROWS, "response": _answers(ROWS)}
).assign(source="revision", step=1)

Given = dict[str, Any]
Trained = tuple[dict[str, Tensor], pd.DataFrame]


def _sft(lm: LanguageModel, given: Given, processes: Processes) -> Trained:
    found, curves = fine_tune(lm, ROWS_TO_LEARN, SFTParams(**LEARNS, **given), 0, processes)
    return found.model.state_dict(), curves


def _preference(lm: LanguageModel, given: Given, processes: Processes) -> Trained:
    params = PreferenceParams(**LEARNS, **given, head_std=0.5)
    found, curves = train_preference_model(lm, _comparisons(), params, 0, processes)
    return found.model.state_dict(), curves


def _regression(lm: LanguageModel, given: Given, processes: Processes) -> Trained:
    rated = ROWS_TO_LEARN.assign(rating=[float(row) for row in range(ROWS)])
    return train_regression(lm, rated, TrainingParams(**LEARNS, **given), 0, processes).model.state_dict(), _NONE


_NONE = pd.DataFrame({"step": [], "metric": [], "value": []})


def _dpo(lm: LanguageModel, given: Given, processes: Processes) -> Trained:
    more = {"beta": 0.1, "max_new_tokens": 4, "temperature": 1.0, "max_batch_tokens": 400, "snapshot_every": 3}
    result = train(lm, Data(comparisons=_comparisons()), DPOParams(**LEARNS, **more, **given), 0, processes)
    (snapshot,) = result.snapshots.values()
    kept = {f"3.{name}": weight for name, weight in snapshot.model.state_dict().items()}
    return {**result.policy.model.state_dict(), **kept}, result.curves


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "run_children", run_forked)


@pytest.mark.usefixtures("_forked")
@pytest.mark.parametrize(("train_on", "size"), [(_sft, 1), (_preference, None), (_regression, 1), (_dpo, 2)])
def test_two_processes_learn_what_one_learns(
    train_on: Callable[[LanguageModel, Given, Processes], Trained], size: int | None, tiny_lm: LanguageModel
) -> None:
    """Of the last five rows, one process has three, and the other one two and a blank one."""
    one, curves = train_on(copy.deepcopy(tiny_lm), {"device_batch_size": size}, ALONE)
    two, curves_of_two = train_on(copy.deepcopy(tiny_lm), {"device_batch_size": size}, TWO)
    _assert_close(one, two)
    both = curves.merge(curves_of_two, on=["step", "metric"], suffixes=("", "_of_two"), validate="one_to_one")
    assert len(both) == len(curves) == len(curves_of_two)
    figures = both.set_index("metric")
    for metric in ("loss",) if train_on is not _regression else ():
        assert len(figures.loc[[metric]]) == 4  # two epochs of two steps
        assert figures.loc[[metric], "value_of_two"].tolist() == pytest.approx(
            figures.loc[[metric], "value"].tolist(), abs=1e-5
        )


@pytest.mark.usefixtures("_forked")
def test_ppo_samples_and_learns_on_two_processes_as_on_one(tiny_lm: LanguageModel) -> None:
    """Three replies of the last minibatch do not share out."""
    found = []
    for processes in (ALONE, TWO):
        scorer = LanguageModel(with_score_head(copy.deepcopy(tiny_lm), 0.5, 1), tiny_lm.tokenizer)
        data = Data(prompts=prompt_table(), preference_model=scorer)
        params = ppo_settings(rollouts=2, snapshot_every=1, device_batch_size=2, **_SMALL)
        found.append(train(copy.deepcopy(tiny_lm), data, params, 0, processes))
    one, two = found
    assert list(one.snapshots) == list(two.snapshots) == [1, 2]
    _assert_close(one.snapshots[1].model.state_dict(), two.snapshots[1].model.state_dict())
    _assert_close(one.policy.model.state_dict(), two.policy.model.state_dict())
    both = one.curves.merge(two.curves, on=["step", "metric"], suffixes=("", "_of_two"), validate="one_to_one")
    assert len(both) == len(one.curves) == len(two.curves)
    assert both["value_of_two"].tolist() == pytest.approx(both["value"].tolist(), abs=1e-4)


_SMALL = {"prompts_per_rollout": 5, "samples_per_prompt": 3, "minibatch_size": 4, "ppo_epochs": 1}


@pytest.mark.usefixtures("_forked")
def test_an_adapter_and_a_head_are_trained_on_two_processes(tiny_lm: LanguageModel) -> None:
    found = []
    for processes in (ALONE, TWO):
        lm = prepared(copy.deepcopy(tiny_lm), LORA, 0)
        before = {name: weight.clone() for name, weight in lm.model.state_dict().items()}
        weights, _ = _preference(lm, {"device_batch_size": None}, processes)
        changed = {name for name in before if not torch.equal(before[name], weights.get(name, before[name]))}
        assert changed
        assert all(".lora_" in name for name in changed)
        found.append(weights)
    _assert_close(*found)


def _assert_close(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert list(one) == list(two)
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=2e-5, rtol=1e-5, msg=name)


def test_a_training_of_two_processes_one_of_which_was_killed_goes_on_bit_for_bit(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"device_batch_size": 2, "checkpoints": {"directory": str(tmp_path / "checkpoints"), "seconds": 0}}
    monkeypatch.setattr(launch, "run_children", run_forked)
    wanted, curves = _sft(copy.deepcopy(tiny_lm), {**given, "checkpoints": None}, TWO)
    monkeypatch.setattr(launch, "run_children", functools.partial(run_forked, kill=(1, 5)))
    with pytest.raises(RuntimeError, match="-9"):
        _sft(copy.deepcopy(tiny_lm), given, TWO)
    (run,) = (tmp_path / "checkpoints").iterdir()
    assert run.name.startswith("fine-tuning_on_2_processes-")
    assert sorted(path.name for path in run.glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]
    assert not (run / "work").exists()
    monkeypatch.setattr(launch, "run_children", run_forked)
    ended, curves_again = _sft(copy.deepcopy(tiny_lm), given, TWO)
    assert "goes on from step 2" in (run / "rank-0.log").read_text(encoding="utf-8")
    assert all(torch.equal(ended[name], weight) for name, weight in wanted.items())
    pd.testing.assert_frame_equal(curves_again, curves, check_exact=True)
    assert list(run.glob(".*")) == []


@pytest.mark.slow
def test_the_processes_are_started_and_told_by_the_training(
    tiny_lm: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other tests fork their processes; these import all that they need."""
    caplog.set_level("INFO")
    given = {"device_batch_size": None, "checkpoints": {"directory": str(tmp_path / "checkpoints"), "seconds": 60}}
    one, _ = _sft(copy.deepcopy(tiny_lm), given, ALONE)
    two, _ = _sft(copy.deepcopy(tiny_lm), given, TWO)
    _assert_close(one, two)
    assert "[process 0] fine-tuning: 4 steps in" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "batch", "at_once", "told"),
    [
        (
            9,
            8,
            None,
            "training.processes is 9, and this training.batch_size is 8, so a process would have no row: lower",
        ),
        (3, 8, None, "training.processes must divide this training.batch_size, got 3 and 8"),
        (2, 12, 4, "device_batch_size must divide the 6 rows of a batch that each of 2 processes has, got 4"),
    ],
)
def test_rows_that_cannot_be_shared_out_are_told(
    number: int, batch: int, at_once: int | None, told: str, tiny_lm: LanguageModel
) -> None:
    params = SFTParams(**{**LEARNS, "batch_size": batch, "device_batch_size": at_once})
    with pytest.raises(ValueError, match=told):
        fine_tune(tiny_lm, ROWS_TO_LEARN, params, 0, Processes(processes=number, sharding="none"))


def test_more_processes_than_gpus_and_sharing_a_model_without_gpus_are_told() -> None:
    (fault,) = Processes(processes=64, sharding="none").device_faults("cuda")
    assert fault.startswith("training.processes is 64, one a GPU, and this machine has ")
    (fault,) = Processes(processes=2, sharding="fsdp").device_faults("cpu")
    assert fault.startswith("training.sharding is fsdp, which shares a model out over several GPUs, and the device is")
    assert list(ALONE.device_faults("cuda")) == list(WHOLE.shared.device_faults("cpu")) == []


def test_an_algorithm_for_one_process_is_told(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match=r"grpo trains on one process; set training\.processes to 1, or take ppo"):
        train(tiny_lm, Data(), settings_of("grpo"), 0, TWO)
