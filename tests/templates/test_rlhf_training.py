"""The preference model of an arm, its gate, and the policy behind it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.rl import AlgorithmParams, Data, RLResult
from cai_kedro.metrics.estimate import proportion
from cai_kedro.templates.rlhf import policy as policy_node
from cai_kedro.templates.rlhf import preference as preference_node
from cai_kedro.templates.rlhf.comparisons import held_out
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from tests.adapters import WHOLE
from tests.pipelines.builders import comparison_table, prompt_table

ARM = ArmParams(name="rl_cai", algorithm="ppo", differences={})
COMPARISONS = pd.concat(
    [
        comparison_table([0.9] * 40),
        comparison_table([0.5] * 40, prefix="tie-"),
        comparison_table([0.0] * 40, "helpfulness", "h-"),
    ],
    ignore_index=True,
)


def test_the_preference_model_never_trains_on_what_is_held_out(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pd.DataFrame] = []

    def train(
        base: LanguageModel, comparisons: pd.DataFrame, params: object, seed: int, processes: Processes
    ) -> tuple[LanguageModel, None]:
        assert processes == WHOLE.shared
        seen.append(comparisons)
        return base, None

    monkeypatch.setattr(preference_node, "train_preference_model", train)
    preference_node.fit_preference_model(tiny_lm, COMPARISONS, rlhf_params, ARM, 5, WHOLE)
    kept = set(COMPARISONS["pair_id"][held_out(COMPARISONS, 0.5, 5)])
    assert set(seen[0]["pair_id"]) == set(COMPARISONS["pair_id"]) - kept
    assert kept


def test_accuracy_is_measured_on_decided_held_out_comparisons(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def right_on_harmlessness(model: LanguageModel, tested: pd.DataFrame, batch_size: int) -> np.ndarray:
        return (tested["objective"] == "harmlessness").to_numpy(dtype=float)

    monkeypatch.setattr(preference_node, "preference_accuracy", right_on_harmlessness)
    metrics = preference_node.measure_preference_model(tiny_lm, COMPARISONS, rlhf_params, ARM, 5)
    n = int(held_out(COMPARISONS, 0.5, 5)[:40].sum())
    expected = {"all": proportion(n, 2 * n), "harmlessness": proportion(n, n), "helpfulness": proportion(0, n)}
    assert set(metrics) == {
        *(f"pm_held_out_accuracy.rl_cai.{group}" for group in expected),
        "comparison_share.rl_cai.harmlessness.sampled",
        "comparison_share.rl_cai.helpfulness.sampled",
    }
    for group, share in expected.items():
        assert metrics[f"pm_held_out_accuracy.rl_cai.{group}"] == pytest.approx(share, abs=0.01), group


def test_nothing_held_out_is_an_error(tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    with pytest.raises(ValueError, match="no comparison of the arm 'rl_cai' for any objective is held out"):
        preference_node.measure_preference_model(tiny_lm, COMPARISONS[:0], rlhf_params, ARM, 5)


@pytest.mark.parametrize("others", [COMPARISONS[80:], COMPARISONS[:0]])
def test_held_out_labels_that_are_all_ties_are_an_error(
    others: pd.DataFrame, tiny_lm: LanguageModel, rlhf_params: RLHFParams
) -> None:
    """Those of one objective are enough: nothing would say whether the model learned it."""
    table = pd.concat([others, COMPARISONS[40:80]], ignore_index=True)
    told = r"all \d+ held-out labels of the arm 'rl_cai' for (any objective|harmlessness) are ties, 0\.5"
    scorer = LanguageModel(with_score_head(tiny_lm, 0.1, 1), tiny_lm.tokenizer)
    with pytest.raises(ValueError, match=told):
        preference_node.measure_preference_model(scorer, table, rlhf_params, ARM, 5)


def metrics(accuracy: float) -> dict[str, Any]:
    return {
        "pm_held_out_accuracy.rl_cai.all": proportion(93, 100),
        "pm_held_out_accuracy.rl_cai.harmlessness": proportion(accuracy * 100, 100),
        "comparison_share.rl_cai.harmlessness.sampled": proportion(1, 100),
    }


def trained(tiny_lm: LanguageModel, params: RLHFParams, accuracy: float) -> tuple[dict[int, Any], pd.DataFrame]:
    arm = ARM
    return policy_node.reinforce(tiny_lm, tiny_lm, prompt_table(["Hi?"]), metrics(accuracy), params, arm, 5, WHOLE)


def test_there_is_no_rl_on_a_poor_preference_model(
    tiny_lm: LanguageModel,
    rlhf_params: RLHFParams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def never(*_: object) -> RLResult:
        raise AssertionError("RL must not start")

    monkeypatch.setattr(policy_node, "train", never)
    snapshots, curves = trained(tiny_lm, rlhf_params, 0.69)
    assert snapshots == {}
    assert check_table("curves", curves).empty
    (told,) = caplog.messages
    assert told.startswith(
        "no RL for rl_cai, its start policy is kept: the preference model of 'rl_cai' agrees with held-out comparisons "
        "in 0.690 [0.594, 0.772] of 100 for harmlessness; RL needs 0.700 on each objective."
    )
    assert told.endswith("or lower rlhf.gate.min_accuracy")


def test_above_the_gate_rl_runs(
    tiny_lm: LanguageModel,
    rlhf_params: RLHFParams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    used: list[Any] = []
    snapshot = LanguageModel(tiny_lm.model, tiny_lm.tokenizer)
    result = RLResult(policy=tiny_lm, snapshots={0: snapshot}, curves=pd.DataFrame(), last=1)

    def train(start: object, data: Data, params: AlgorithmParams, seed: int, processes: Processes) -> RLResult:
        assert processes == WHOLE.shared
        used.append(params)
        return result

    monkeypatch.setattr(policy_node, "train", train)
    assert trained(tiny_lm, rlhf_params, 0.7) == ({0: snapshot, 1: tiny_lm}, result.curves)
    assert [params.algorithm for params in used] == ["ppo"]
    assert caplog.messages == [
        "the preference model of 'rl_cai' agrees with held-out comparisons in 0.700 [0.604, 0.781] of 100 for "
        "harmlessness: above the gate of 0.700, but not the whole interval"
    ]
    caplog.clear()
    trained(tiny_lm, rlhf_params, 0.9)
    assert caplog.messages == []


def test_rl_draws_from_both_kinds_of_prompts(rlhf_params: RLHFParams) -> None:
    red_team, helpful = prompt_table(["a?", "b?", "c?"], "r"), prompt_table(["d?", "e?", "f?"], "h")
    prompts = check_table("prompts", policy_node.gather_rl_prompts(red_team, helpful, rlhf_params, ARM, 5))
    assert prompts["prompt_id"].str[0].tolist() == ["r", "r", "r", "h", "h"]
