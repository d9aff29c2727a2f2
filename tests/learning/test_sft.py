"""Fine-tuning raises the likelihood of answers, and of nothing else, the same way for the same seed."""

import copy
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional
from trl import SFTTrainer

from cai_kedro.core.conversation import user
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.encoding import EncodedAnswer, encode_answers
from cai_kedro.learning.sft import SFTParams, fine_tune, sft_dataset


def _params(**change: Any) -> SFTParams:
    values: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 5e-3,
        "warmup_steps": 1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_length": 96,
        "log_every": 2,
    }
    return SFTParams(**{**values, **change})


def _rows(n: int = 18) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(n)],
            "prompt_id": [f"p{i}" for i in range(n)],
            "messages": [[user(f"{'Please ' * (i % 3)}say {chr(65 + i)}")] for i in range(n)],
            "response": [f"I say {chr(97 + i)}." for i in range(n)],
            "source": "revision",
            "step": 1,
        }
    )
    return check_table("rows", rows)


def _encoded(lm: LanguageModel, rows: pd.DataFrame) -> list[EncodedAnswer]:
    return encode_answers(lm, list(rows["messages"]), list(rows["response"]))


def _log_likelihood(lm: LanguageModel, rows: pd.DataFrame) -> tuple[float, float]:
    """Return the mean log-probability of a prompt token and of an answer token."""
    prompts, answers = [], []
    with torch.no_grad():
        for answer in _encoded(lm, rows):
            ids = torch.tensor([answer.ids])
            logprobs = functional.log_softmax(lm.model(ids).logits[0, :-1], dim=-1)
            taken = logprobs.gather(1, ids[0, 1:, None])[:, 0]
            prompts.append(taken[: len(answer.prompt) - 1])
            answers.append(taken[len(answer.prompt) - 1 :])
    return torch.cat(prompts).mean().item(), torch.cat(answers).mean().item()


def test_labels_are_the_answer_only(tiny_lm: LanguageModel) -> None:
    rows = _rows(3)
    dataset = sft_dataset(tiny_lm, rows, max_length=96)
    for row, answer in zip(dataset, _encoded(tiny_lm, rows), strict=True):
        assert row["input_ids"] == answer.ids
        assert row["labels"] == [-100] * len(answer.prompt) + answer.completion
        assert row["length"] == len(answer.ids)


def test_the_trainer_takes_the_loss_on_the_answer_only(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    original = SFTTrainer.compute_loss

    def spy(self: SFTTrainer, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        seen.append(dict(inputs))
        return original(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(SFTTrainer, "compute_loss", spy)
    before = _log_likelihood(tiny_lm, _rows(4))
    _, curves = fine_tune(tiny_lm, _rows(4), _params(epochs=1), seed=1)
    # one batch, one step: the logged loss is the mean over answer tokens of the untouched model
    assert curves.loc[curves["metric"] == "loss", "value"].tolist() == [pytest.approx(-before[1], abs=1e-4)]
    [batch] = seen
    kept = batch["labels"] != -100
    assert torch.equal(batch["labels"][kept], batch["input_ids"][kept])
    assert torch.equal(kept.sum(1), torch.full((4,), len(b" I say a.") + 1))


def test_answers_become_likelier_and_prompts_do_not(tiny_lm: LanguageModel) -> None:
    rows = _rows()
    prompt_before, answer_before = _log_likelihood(tiny_lm, rows)
    tuned, curves = fine_tune(tiny_lm, rows, _params(epochs=12), seed=1)
    prompt_after, answer_after = _log_likelihood(tuned, rows)
    assert answer_after > answer_before + 2
    assert prompt_after < prompt_before + 0.5
    check_table("curves", curves)
    losses = curves.loc[curves["metric"] == "loss", "value"]
    assert losses.iloc[-1] < losses.iloc[0] - 1


def test_same_seed_same_weights(tiny_lm: LanguageModel) -> None:
    def tuned(seed: int) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
        base = LanguageModel(copy.deepcopy(tiny_lm.model), tiny_lm.tokenizer)
        torch.manual_seed(seed + 99)  # the state of the global generator must not matter
        lm, curves = fine_tune(base, _rows(), _params(epochs=1), seed)
        return lm.model.state_dict(), curves

    (first, curves), (again, curves_again), (other, _) = tuned(1), tuned(1), tuned(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    pd.testing.assert_frame_equal(curves, curves_again)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_bfloat16_learns_the_same(tiny_lm: LanguageModel) -> None:
    rows = _rows()
    answer_before = _log_likelihood(tiny_lm, rows)[1]
    tuned, _ = fine_tune(tiny_lm, rows, _params(epochs=12, dtype="bfloat16"), seed=1)
    assert tuned.model.dtype == torch.float32
    assert _log_likelihood(tuned, rows)[1] > answer_before + 2


def test_nothing_is_left_behind(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = tiny_lm.model.config.to_dict()
    kernel = tiny_lm.model.config._attn_implementation
    tuned, _ = fine_tune(tiny_lm, _rows(4), _params(epochs=1), seed=1)
    assert os.listdir(tmp_path) == []
    assert capsys.readouterr().out == ""
    assert "forward" not in vars(tuned.model)
    assert tuned.model.config.to_dict() == config
    assert tuned.model.config._attn_implementation == kernel
    assert not tuned.model.training
    assert all(weight.grad is None for weight in tuned.model.parameters())


def test_long_rows_are_left_out_and_said(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    rows = _rows(4)
    longest = max(len(answer.ids) for answer in _encoded(tiny_lm, rows))
    dataset = sft_dataset(tiny_lm, rows, max_length=longest - 1)
    assert len(dataset) == 3
    assert "1 of 4 rows are longer than" in caplog.text
    with pytest.raises(ValueError, match=r"all 4 rows are longer than max_length=5 tokens .*raise max_length"):
        sft_dataset(tiny_lm, rows, max_length=5)


def test_no_rows(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="there are no rows to fine-tune on"):
        fine_tune(tiny_lm, _rows().head(0), _params(), seed=1)


def test_every_eos_of_the_model_is_kept(tiny_lm: LanguageModel) -> None:
    tiny_lm.model.generation_config.eos_token_id = [1, 9]
    trained, _ = fine_tune(tiny_lm, _rows(4), _params(epochs=1), seed=1)
    assert eos_ids(trained) == (1, 9)


def test_a_batch_in_parts_teaches_what_the_whole_batch_teaches(tiny_lm: LanguageModel) -> None:
    # one step of the optimiser, answers of unlike lengths; plain gradient size shows in the weights' first change
    rows = _rows(8).assign(response=[f"I say {'so ' * (i % 4)}{chr(97 + i)}." for i in range(8)])
    one_step = {"epochs": 1, "batch_size": 8, "warmup_steps": 0, "log_every": 1}
    whole, curves = fine_tune(copy.deepcopy(tiny_lm), rows, _params(**one_step), 0)
    parts, curves_of_parts = fine_tune(copy.deepcopy(tiny_lm), rows, _params(**one_step, device_batch_size=2), 0)
    for name, first in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], first, atol=2e-4, rtol=0)
    for metric in ("loss", "grad_norm"):
        (value,) = curves[curves["metric"] == metric]["value"]
        (same,) = curves_of_parts[curves_of_parts["metric"] == metric]["value"]
        assert same == pytest.approx(value, rel=1e-3), metric
    with pytest.raises(ValidationError, match="device_batch_size must divide batch_size, got 3 and 8"):
        _params(batch_size=8, device_batch_size=3)
