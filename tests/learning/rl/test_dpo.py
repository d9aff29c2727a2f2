"""DPO on soft labels: preferred answers gain on unseen pairs, a seed decides, an interrupted run goes on."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.learning.rl import Data, RLResult, train
from cai_kedro.learning.rl.dpo import DPOParams, dpo_dataset
from tests.learning.rl.test_ppo import assert_same, copies

SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 200,
    "log_every": 1,
    "beta": 0.5,
    "max_new_tokens": 4,
    "temperature": 1.0,
    "max_batch_tokens": 400,
    "snapshot_every": 3,
}


def settings(**changed: Any) -> DPOParams:
    return DPOParams(**(SETTINGS | changed))


def comparisons(n: int, p: float = 0.9, first: int = 0) -> pd.DataFrame:
    """Polite answers are preferred with probability p, on either side."""
    rows = []
    for i in range(first, first + n):
        polite, rude = f"Please do not do {i}.", f"Go on, {i} is fun!"
        a_is_polite = i % 3 > 0
        rows.append(
            {
                "pair_id": f"p{i}",
                "prompt_id": f"p{i}",
                "messages": [user(f"How do I do {i}?")],
                "response_a": polite if a_is_polite else rude,
                "response_b": rude if a_is_polite else polite,
                "p_a_better": p if a_is_polite else 1 - p,
            }
        )
    return pd.DataFrame(rows)


def learn(lm: LanguageModel, table: pd.DataFrame, params: DPOParams, seed: int = 1) -> RLResult:
    return train(lm, Data(comparisons=table), params, seed)


def logprobs(lm: LanguageModel, table: pd.DataFrame, side: str) -> torch.Tensor:
    """Return the log-probability of each answer by the model's plain forward pass: (n,)."""
    found = []
    for answer in encode_answers(lm, list(table["messages"]), list(table[side])):
        with torch.no_grad():
            scores = lm.model(input_ids=torch.tensor([answer.ids])).logits[0].log_softmax(-1)
        places = range(len(answer.prompt) - 1, len(answer.ids) - 1)
        found.append(sum(scores[place, answer.ids[place + 1]] for place in places))
    return torch.stack(found)  # type: ignore[arg-type]


def difference(policy: LanguageModel, start: LanguageModel, table: pd.DataFrame) -> torch.Tensor:
    """Return how far the policy moved A ahead of B: (n,)."""
    a, b = (logprobs(policy, table, side) - logprobs(start, table, side) for side in ("response_a", "response_b"))
    return a - b


def test_preferred_answers_gain_on_pairs_that_were_never_seen(tiny_lm: LanguageModel) -> None:
    start = copies(tiny_lm, 1)[0]
    own = set(vars(tiny_lm.model))
    result = learn(tiny_lm, comparisons(48), settings())
    unseen = comparisons(24, first=100)
    margins = difference(result.policy, start, unseen) * torch.sign(torch.tensor(unseen["p_a_better"].to_numpy()) - 0.5)
    assert margins.mean() > 0.5
    assert (margins > 0).float().mean() > 0.9
    assert result.last == 12
    assert list(result.snapshots) == [3, 6, 9, 12]
    margin = result.curves.query("metric == 'margin'").sort_values("step")["value"].tolist()
    assert margin[0] == pytest.approx(0.0, abs=1e-4)  # the policy is its own reference
    assert margin[-1] > 0.2
    assert set(vars(result.policy.model)) == own  # no patched forward is left


@pytest.mark.parametrize("p", [0.5, 0.7, 1.0])
def test_the_loss_weighs_both_directions(tiny_lm: LanguageModel, p: float) -> None:
    """At the second step of a large batch the loss is the soft cross-entropy of what the first step moved."""
    table, start = comparisons(8, p), copies(tiny_lm, 1)[0]
    one, two = (
        learn(lm, table, settings(epochs=epochs, snapshot_every=1, weight_decay=0.0, learning_rate=1e-3))
        for lm, epochs in zip(copies(tiny_lm, 2), (1, 2), strict=True)
    )
    assert one.last == 1
    moved = difference(two.snapshots[1], start, table) * 0.5
    label = torch.tensor(table["p_a_better"].to_numpy(), dtype=torch.float32)
    sigmoid = torch.nn.functional.logsigmoid
    expected = -(label * sigmoid(moved) + (1 - label) * sigmoid(-moved)).mean()
    losses = two.curves.query("metric == 'loss'").sort_values("step")["value"].tolist()
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[1] == pytest.approx(float(expected), abs=2e-4)


def test_a_coin_teaches_no_direction(tiny_lm: LanguageModel) -> None:
    start = copies(tiny_lm, 1)[0]
    result = learn(tiny_lm, comparisons(24, 0.5), settings(epochs=1))
    assert difference(result.policy, start, comparisons(24, first=100)).abs().mean() < 0.05


def test_a_seed_decides(tiny_lm: LanguageModel) -> None:
    first, again, other = copies(tiny_lm, 3)
    table = comparisons(24)
    found = learn(first, table, settings())
    torch.manual_seed(99)  # nothing may hang on the global generator
    assert_same(learn(again, table, settings()), found)
    weights = (lm.model.state_dict()["model.norm.weight"] for lm in (first, learn(other, table, settings(), 2).policy))
    assert not torch.equal(*weights)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [2, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Three steps an epoch, lines of the curves, and so checkpoints, at the first step and every two."""
    first, second, third = copies(tiny_lm, 3)
    table = comparisons(24)
    params = settings(epochs=3, snapshot_every=2, log_every=2, checkpoints={"directory": str(tmp_path), "seconds": 0})
    straight = learn(first, table, params.model_copy(update={"checkpoints": None}))
    from cai_kedro.learning.rl.dpo_trainer import _SoftDPOTrainer  # noqa: PLC0415

    whole = _SoftDPOTrainer.training_step

    def stops(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if trainer.state.global_step == at:
            raise _KilledError
        return whole(trainer, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(_SoftDPOTrainer, "training_step", stops)
        with pytest.raises(_KilledError):
            learn(second, table, params)
    (run_dir,) = tmp_path.iterdir()
    assert max(RunFolder(run_dir, "", 0).steps()) == at // 2 * 2
    assert_same(learn(third, table, params), straight)
    assert_same(learn(copy.deepcopy(copies(tiny_lm, 1)[0]), table, params), straight)  # nothing is left to do


def test_rows_hold_what_training_reads(tiny_lm: LanguageModel) -> None:
    table = comparisons(3)
    rows = dpo_dataset(tiny_lm, Data(comparisons=table), settings())
    (answer,) = encode_answers(tiny_lm, [table["messages"][0]], [table["response_a"][0]])
    assert (rows[0]["prompt_ids"], rows[0]["chosen_ids"]) == (answer.prompt, answer.completion)
    assert rows["p_a_better"][:] == pytest.approx([0.1, 0.9, 0.9])


@pytest.mark.parametrize(
    ("table", "changed", "message"),
    [
        (comparisons(0), {}, "there are no comparisons for dpo"),
        (
            comparisons(3),
            {"max_length": 5},
            r"all 3 comparisons are longer than max_length=5 .*rlhf\.rl\.dpo\.max_length",
        ),
    ],
)
def test_comparisons_that_teach_nothing_are_refused(
    tiny_lm: LanguageModel, table: pd.DataFrame, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        learn(tiny_lm, table, settings(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beta": 0.0}, "beta"),
        ({"kl_coef": 0.1}, r"'kl_coef' is not among the parameters of dpo, rlhf\.rl\.dpo \(.*beta.*\)"),
        ({"checkpoints": {"directory": "x", "seconds": -1}}, "checkpoints.seconds"),
        ({"device_batch_size": 3}, "device_batch_size must divide batch_size"),
    ],
)
def test_wrong_parameters_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changed)


def test_a_policy_that_diverges_is_not_given_back(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    params = settings(learning_rate=1e39, snapshot_every=1, checkpoints={"directory": str(tmp_path), "seconds": 0})
    with pytest.raises(ValueError, match=r"^DPO: .*(not finite|nan|inf)"):
        learn(tiny_lm, comparisons(16), params)
    assert list(tmp_path.rglob("*.safetensors")) == []
