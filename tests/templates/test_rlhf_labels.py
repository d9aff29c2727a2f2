"""Labels that prefer nothing stop an arm before a preference model learns from them, however good its others are."""

import numpy as np
import pandas as pd
import pytest

from cai_kedro.templates.rlhf.comparisons import kind_shares, mix_comparisons
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from tests.pipelines.builders import comparison_table

ARM = ArmParams(name="rl_cai", algorithm="ppo", differences={})
N = 60
HUMAN = comparison_table([1.0, 0.0] * N, "helpfulness", "human-")
RNG = np.random.default_rng(0)


def read_labels(first_option: np.ndarray, second: np.ndarray, source: str = "ai", both: bool = True) -> pd.DataFrame:
    """Labels from P(first option) with A first and with A second; CoT labels are clamped."""
    label = (first_option + 1 - second) / 2 if both else first_option
    clamped = label.clip(0.4, 0.6) if source == "ai_cot" else label
    table = comparison_table(clamped.tolist(), prefix="ai-")
    return table.assign(source=source, p_a_first=first_option, p_a_second=1 - second if both else float("nan"))


def mixed(params: RLHFParams, labels: pd.DataFrame) -> pd.DataFrame:
    return mix_comparisons(params, ARM, 1, ai=labels, human=HUMAN)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("source", ["ai", "ai_cot"])
def test_a_labeller_that_always_prefers_the_first_option_stops_the_arm(
    source: str, both: bool, rlhf_params: RLHFParams
) -> None:
    always = 0.965 + 0.0004 * RNG.standard_normal((2, N))
    told = (
        rf"^the 60 labels of 'rl_cai' for harmlessness \(source {source}\) prefer nothing: spread 0\.000\d, "
        r"P\(first option\) 0\.965 on average.*rlhf\.labels\.min_spread is 0\.02"
    )
    with pytest.raises(ValueError, match=told):
        mixed(rlhf_params, read_labels(*always, source=source, both=both))


def test_orders_that_contradict_each_other_stop_the_arm(rlhf_params: RLHFParams) -> None:
    biased = 0.85 + 0.14 * RNG.uniform(-1, 1, (2, N))
    told = r"go by the order of the options: spread 0\.0\d+, .* prefer another answer in 1\.000 of 60 pairs; .*is 0\.75"
    with pytest.raises(ValueError, match=told):
        mixed(rlhf_params, read_labels(*biased))


@pytest.mark.parametrize("option", [0.9, 0.1])
def test_the_option_that_wins_in_the_only_order_stops_the_arm(option: float, rlhf_params: RLHFParams) -> None:
    biased = option + 0.08 * RNG.uniform(-1, 1, N)
    told = r"go by the order of the options: .* the same option is preferred in 1\.000 of 60 pairs; .*is 0\.75"
    with pytest.raises(ValueError, match=told):
        mixed(rlhf_params, read_labels(biased, biased, both=False))


@pytest.mark.parametrize("label", [1.0, 0.6])
def test_one_label_for_all_pairs_stops_the_arm(label: float, rlhf_params: RLHFParams) -> None:
    told = rf"the 20 labels of 'rl_cai' for harmlessness \(source human\) are all {label:g}, whatever the answers are"
    with pytest.raises(ValueError, match=told):
        mixed(rlhf_params, comparison_table([label] * 20))


@pytest.mark.parametrize("source", ["ai", "ai_cot"])
def test_labels_that_differ_pass_though_their_clamp_is_narrow(source: str, rlhf_params: RLHFParams) -> None:
    first = RNG.uniform(0, 1, N)
    assert len(mixed(rlhf_params, read_labels(first, 1 - first, source=source))) == N + len(HUMAN)
    tight = rlhf_params.model_copy(update={"labels": rlhf_params.labels.model_copy(update={"min_spread": 0.4})})
    with pytest.raises(ValueError, match=r"min_spread is 0\.4"):
        mixed(tight, read_labels(first, 1 - first, source=source))


def test_few_pairs_whose_orders_differ_prove_nothing(rlhf_params: RLHFParams) -> None:
    assert len(mixed(rlhf_params, read_labels(np.array([0.9, 0.6, 0.99]), np.array([0.6, 0.9, 0.7])))) == 3 + len(HUMAN)


def test_ties_of_people_stop_the_arm_too(rlhf_params: RLHFParams) -> None:
    with pytest.raises(ValueError, match=r"the 9 labels of 'rl_cai' for harmlessness \(source human\) are ties"):
        mixed(rlhf_params, comparison_table([0.5] * 9))


def test_the_kinds_of_pairs_are_counted(rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture) -> None:
    human = HUMAN.assign(kind=["mismatched"] * 113 + ["sampled"] * 7)
    with caplog.at_level("INFO", logger="cai_kedro"):
        table = mix_comparisons(rlhf_params, ARM, 1, human=human)
    assert "rl_cai: 113 of 120 comparisons of helpfulness.mismatched" in caplog.text
    assert {name: share["n"] for name, share in kind_shares(table).items()} == {
        "helpfulness.mismatched": 120,
        "helpfulness.sampled": 120,
    }
