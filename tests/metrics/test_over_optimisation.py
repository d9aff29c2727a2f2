"""Which snapshot is kept, on replies made up so that the answer is known."""

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.schemas import check_table
from cai_kedro.metrics.collapse import CollapseLimits
from cai_kedro.metrics.over_optimisation import Limits, choose_snapshot, signals_of

LIMITS = Limits(
    max_kl=5.0,
    min_eos_rate=0.9,
    min_distinct=0.5,
    max_evasive_rise=0.2,
    collapse=CollapseLimits(max_repeated_rise=0.2, max_alike_rise=0.4, min_length=0.25, max_length=4.0),
)
N = 40
NOISE = np.random.default_rng(0).normal(size=N)


def replies(
    step: int, score: float, kl: float = 1.0, *, evasive: float = 0, ended: float = 1, alike: bool = False
) -> pd.DataFrame:
    told = ["Bake the bread for an hour." if alike else f"Bake loaf{i} until minute{i} at oven{i}." for i in range(N)]
    texts = ["I don't know." if i < evasive * N else text for i, text in enumerate(told)]
    return pd.DataFrame(
        {
            "step": step,
            "prompt_id": [f"p{i}" for i in range(N)],
            "response": texts,
            "tokens": [len(text.split()) for text in texts],
            "ended": [float(i < ended * N) for i in range(N)],
            # what differs between prompts is large, and the same at every step
            "pm_score": score + 3 * np.arange(N) + 0.3 * (step % 3) * NOISE,
            "kl": kl,
        }
    )


def chosen(*tables: pd.DataFrame, limits: Limits = LIMITS) -> tuple[int, dict[int, str]]:
    choice = choose_snapshot(check_table("signals", pd.concat(tables)), limits, 500, 0)
    (kept,) = choice[choice["kept"]]["step"]
    return kept, dict(zip(choice["step"], choice["why"], strict=True))


def test_the_highest_score_is_kept_while_it_clearly_rises() -> None:
    kept, why = chosen(replies(0, 0), replies(10, 1), replies(20, 2), replies(30, 3))
    assert kept == 30
    assert why[30] == "kept: the best score within the limits"
    assert "below the best, step 30" in why[10]
    assert why[0].startswith("start policy; its score is 3.00")


def test_the_start_policy_is_kept_where_training_brought_nothing() -> None:
    kept, why = chosen(replies(0, 2.0), replies(15, 1.99), replies(30, 1.0))
    assert kept == 0
    assert why[0] == "start policy; kept: the best score within the limits"
    kept, why = chosen(replies(0, 2.0), replies(10, 2.01 - 0.3 * NOISE.mean()), replies(20, 1.0))
    assert kept == 0
    assert why[0].startswith("start policy; kept, as no score is clearly above its own: its score is 0.01 [-0.")
    assert why[10].startswith("the best score within the limits, but not clearly above the start policy's: 0.01 [-0.")


def test_the_best_mean_score_is_kept_though_an_earlier_one_is_not_clearly_worse() -> None:
    near = replies(20, 2.0), replies(30, 2.01 + 0.6 * NOISE.mean())
    gap = near[1]["pm_score"].to_numpy() - near[0]["pm_score"].to_numpy()
    assert 0 < gap.mean() < gap.std() / N**0.5  # the order of the two is not known
    kept, why = chosen(replies(0, 0), replies(10, 1), *near)
    assert kept == 30
    assert why[30] == "kept: the best score within the limits"
    assert why[20].startswith("its score is ")


def test_of_equal_scores_the_earliest_is_kept() -> None:
    assert chosen(replies(0, 0), replies(10, 1), replies(40, 1), replies(70, 1))[0] == 10


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kl": 6.0}, "KL 6.00 above 5.0"),
        ({"ended": 0.5}, "EOS rate 0.50 below 0.9"),
        ({"alike": True}, r"distinct_2 0.03, below 0.5 of"),
        ({"evasive": 0.3}, "evasive 0.30, over 0.2 above 0.00 at the start"),
    ],
)
def test_a_higher_score_beyond_a_limit_is_not_kept(fault: dict, told: str) -> None:
    kept, why = chosen(replies(0, 0), replies(10, 1), replies(20, 9, **fault))
    assert kept == 10
    assert told in why[20]


def test_a_snapshot_that_has_collapsed_is_not_kept_and_is_marked() -> None:
    looped = replies(20, 9)
    looped["response"] = [f"{text} {text}" for text in looped["response"]]
    tables = [replies(0, 0), replies(10, 1), looped, replies(30, 9, alike=True), replies(40, 9, kl=6.0)]
    choice = choose_snapshot(check_table("signals", pd.concat(tables)), LIMITS, 500, 0).set_index("step")
    assert choice["collapsed"].to_dict() == {0: False, 10: False, 20: True, 30: True, 40: False}
    assert choice["kept"].to_dict() == {0: False, 10: True, 20: False, 30: False, 40: False}
    assert choice["repeated_sentences"].to_dict() == {0: 0.0, 10: 0.0, 20: 0.5, 30: 0.0, 40: 0.0}
    assert (choice["alike"][10], choice["alike"][30], choice["length"][20]) == (1 / N, 1.0, 1.0)
    assert "sentences said twice in a reply 0.50 [" in choice["why"][20]
    assert "replies with the same first 8 words 1.00 [" in choice["why"][30]


def test_evasion_counts_against_the_start_policy() -> None:
    assert chosen(replies(0, 0, evasive=0.2), replies(10, 1), replies(20, 9, evasive=0.3))[0] == 20


def test_if_no_training_is_within_the_limits_the_start_policy_is_kept() -> None:
    kept, why = chosen(replies(0, 0, kl=0), replies(10, 1, kl=7.0), replies(20, 2, kl=6.0))
    assert kept == 0
    assert why[20] == "KL 6.00 above 5.0"
    kept, why = chosen(replies(0, 0, kl=0, ended=0.5), replies(10, 1, ended=0.5), replies(20, 2, kl=6.0))
    assert kept == 0
    assert why[0] == "start policy; kept, as no policy is within the limits; EOS rate 0.50 below 0.9"
    # a KL that is estimated from few replies can be below 0, and is no reason to keep what is beyond another limit
    assert chosen(replies(0, 0, kl=0, ended=0.5), replies(10, 1, kl=-0.3, ended=0.3))[0] == 0


def test_a_start_policy_beyond_a_limit_is_left_behind() -> None:
    kept, why = chosen(replies(0, 9, ended=0.5), replies(10, 1))
    assert kept == 10
    assert why[0] == "start policy; EOS rate 0.50 below 0.9"


def test_without_a_snapshot_there_is_nothing_to_keep() -> None:
    with pytest.raises(ValueError, match=r"no snapshot to keep: lower snapshot_every of its algorithm"):
        chosen(replies(0, 0))


def test_signals_have_their_interval_and_n() -> None:
    found = signals_of(replies(10, 1, kl=2.0, evasive=0.25, ended=0.75))
    assert {name: estimate["n"] for name, estimate in found.items()} == dict.fromkeys(
        ["pm_score", "kl", "tokens", "eos_rate", "evasive", "boilerplate", "distinct_2"], N
    )
    assert found["evasive"]["value"] == 0.25
    assert found["eos_rate"]["value"] == 0.75
    assert found["kl"]["value"] == 2.0
    for name, estimate in found.items():
        assert estimate["low"] <= estimate["value"] <= estimate["high"], name


def test_without_a_preference_model_the_last_one_within_the_limits_is_kept() -> None:
    tables = [
        replies(step, 0.0, kl).assign(pm_score=np.nan) for step, kl in ((0, 0.0), (10, 2.0), (20, 4.0), (30, 6.0))
    ]
    choice = choose_snapshot(check_table("signals", pd.concat(tables)), LIMITS, 500, 0)
    assert "pm_score" not in choice
    (kept,) = choice[choice["kept"]].itertuples()
    assert (kept.step, kept.why) == (20, "kept: the last one within the limits; no preference model scores it")
    assert choice[choice["step"] == 30]["why"].item() == "KL 6.00 above 5.0"
