"""Loss and gradient of a batch that is read in parts are those of the whole batch, for every training."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import value_head
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.learning.preference import PreferenceParams, train_preference_model
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.rl.ppo import train_ppo
from cai_kedro.learning.rollouts import Episodes
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.learning.training_arguments import TrainingParams
from tests.learning.rl.test_ppo import by_sum, encoded, prompt_table, scorer, settings, settings_of

# 13 rows in batches of 8: the second one is cut into parts of 2, 2 and 1
ROWS, BATCH, PART = 13, 8, 2
TRAINING: dict[str, Any] = {
    "device": "cpu", "dtype": "float32", "epochs": 1, "batch_size": BATCH, "learning_rate": 1e-12, "warmup_steps": 0,
    "weight_decay": 0.0, "max_grad_norm": 1e9, "max_length": 128, "log_every": 1,
}  # fmt: skip

Step = tuple[float, dict[str, Tensor]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The loss and the gradients of every step of the optimiser, as they are when it is about to be done."""
    seen: list[Step] = []
    losses: list[float] = []
    step, norm = FiniteTraining.training_step, FiniteTraining._get_grad_norm

    def training_step(trainer: FiniteTraining, *args: Any, **kwargs: Any) -> Tensor:
        loss = step(trainer, *args, **kwargs)
        losses.append(float(loss))
        return loss

    def grad_norm(trainer: FiniteTraining, model: Any, grad_norm: Any = None) -> Any:
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        seen.append((sum(losses), gradients))
        losses.clear()
        return norm(trainer, model, grad_norm)

    monkeypatch.setattr(FiniteTraining, "training_step", training_step)
    monkeypatch.setattr(FiniteTraining, "_get_grad_norm", grad_norm)
    return seen


def _answers(rows: int) -> list[str]:
    return [f"I say {'so ' * (row % 5)}{chr(97 + row)}." for row in range(rows)]


def _sft(lm: LanguageModel, size: int | None) -> None:
    rows = pd.DataFrame({"row_id": range(ROWS), "messages": [[user("Hi")]] * ROWS, "response": _answers(ROWS)})
    fine_tune(lm, rows.assign(source="revision", step=1), SFTParams(**TRAINING, device_batch_size=size), 0)


def _comparisons() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pair_id": [f"{row}" for row in range(ROWS)],
            "messages": [[user("Hi")]] * ROWS,
            "response_a": _answers(ROWS),
            "response_b": _answers(ROWS)[::-1],
            "p_a_better": np.linspace(0.1, 0.9, ROWS),
        }
    )


def _preference(lm: LanguageModel, size: int | None) -> None:
    params = PreferenceParams(**TRAINING, device_batch_size=size, head_std=0.5)
    train_preference_model(lm, _comparisons(), params, 0)


def _regression(lm: LanguageModel, size: int | None) -> None:
    rated = pd.DataFrame({"messages": [[user("Hi")]] * ROWS, "response": _answers(ROWS), "rating": np.arange(13.0)})
    train_regression(lm, rated, TrainingParams(**TRAINING, device_batch_size=size), 0)


def _dpo(lm: LanguageModel, size: int | None) -> None:
    more = {"beta": 0.1, "max_new_tokens": 4, "temperature": 1.0, "max_batch_tokens": 400, "snapshot_every": 99}
    params = DPOParams(**TRAINING, **more, device_batch_size=size)
    train(lm, Data(comparisons=_comparisons()), params, 0)


def _ppo(lm: LanguageModel, size: int | None) -> None:
    still = {"learning_rate": 1e-12, "value_learning_rate": 1e-12, "max_grad_norm": 1e9, "whiten_advantages": True}
    params = settings(rollouts=1, minibatch_size=6, ppo_epochs=2, device_batch_size=size, **still)
    train_ppo(lm, scorer(by_sum), encoded(lm), params, seed=5, folder=None)


class _OfLetters:
    """Rewards that differ from reply to reply."""

    fingerprint = "letters"

    def score(self, prompt_ids: Sequence[str], replies: Sequence[str]) -> np.ndarray:
        return np.array([sum(map(ord, reply)) % 7 / 3 for reply in replies])


def _by_trl(algorithm: str, lm: LanguageModel, size: int | None) -> None:
    still = {"learning_rate": 1e-12, "max_grad_norm": 1e9, "rollouts": 1, "minibatch_size": 4}
    params = settings_of(algorithm, device_batch_size=size, **still)
    train(lm, Data(prompts=prompt_table(), reward=_OfLetters()), params, 5)


_rloo, _grpo = partial(_by_trl, "rloo"), partial(_by_trl, "grpo")


@pytest.mark.parametrize("train_in", [_sft, _preference, _regression, _dpo, _ppo, _rloo, _grpo])
def test_parts_give_the_gradient_of_the_whole_batch(
    train_in: Callable[[LanguageModel, int | None], None], tiny_lm: LanguageModel, steps: list[Step]
) -> None:
    train_in(copy.deepcopy(tiny_lm), None)
    whole = list(steps)
    steps.clear()
    train_in(copy.deepcopy(tiny_lm), PART)
    assert len(whole) == len(steps) >= 2
    for (loss, gradients), (loss_of_parts, of_parts) in zip(whole, steps, strict=True):
        assert loss_of_parts == pytest.approx(loss, rel=1e-5, abs=1e-6)
        largest = max(float(gradient.abs().max()) for gradient in gradients.values())
        assert largest > 0
        for name, gradient in gradients.items():
            torch.testing.assert_close(of_parts[name], gradient, atol=1e-6 * max(1.0, largest), rtol=0)


def test_logits_in_parts_give_the_same_figures_and_gradients(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.random.default_rng(0).integers(2, 200, size=(40, 30)).tolist()
    batch = Episodes.of([row[:6] for row in ids], [row[6:] for row in ids], 0, torch.device("cpu")).rows(
        torch.arange(40)
    )
    found, gradients = [], []
    seen: list[int] = []
    plain = value_head._plain_logits
    monkeypatch.setattr(value_head, "_plain_logits", lambda model, x: seen.append(len(x)) or plain(model, x))
    for size in (2**28, 4 * 260 * 200):
        monkeypatch.setattr(value_head, "LOGIT_BYTES", size)
        model = value_head.ActorCritic(copy.deepcopy(tiny_lm.model), 0.1)
        logprobs, values, entropy = model(**batch, temperature=0.7, entropy=True)
        (logprobs.sum() + values.sum()).backward()
        found.append((logprobs, values, entropy))
        gradients.append(model.policy.model.embed_tokens.weight.grad)
    assert seen[0] == 40 * 24
    assert max(seen[1:]) == value_head.tokens_at_once(tiny_lm.model.lm_head.weight.shape[0]) == 192
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5 * float(gradients[0].abs().max()), rtol=0)
