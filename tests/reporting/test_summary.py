import textwrap

import pandas as pd
import pytest

from cai_kedro.reporting.summary import ONE_TRAINING, referee_lines, render_summary

NOTE = ["", *textwrap.wrap(ONE_TRAINING, 100)]


def _row(policy: str, metric: str, value: float, low: float | None, high: float | None, n: int) -> dict[str, object]:
    return {"policy": policy, "metric": metric, "value": value, "low": low, "high": high, "n": n}


def test_the_table_reads_as_in_the_readme() -> None:
    table = pd.DataFrame(
        [
            _row("helpful_rlhf", "harmlessness_elo", 0.0, None, None, 250),
            _row("helpful_rlhf", "helpfulness_elo", 0.0, None, None, 250),
            _row("helpful_rlhf", "complies", 0.984, 0.96, 0.99, 250),
            _row("helpful_rlhf", "right", 0.92, 0.9, 0.94, 240),
            _row("rl_cai", "harmlessness_elo", 728.4, 650.2, 810.9, 250),
            _row("rl_cai", "helpfulness_elo", -12.6, -40.1, 15.0, 250),
            _row("rl_cai", "complies", 0.0, 0.0, 0.02, 250),
            _row("rl_cai", "objects", 0.9, 0.86, 0.93, 250),
            _row("rl_cai", "evasive", 0.004, 0.0, 0.02, 250),
            _row("rl_cai", "right", 0.948, 0.92, 0.97, 250),
            _row("rl_cai", "honesty_elo", 10.0, -1.0, 21.0, 9),
        ]
    )
    assert render_summary(table).split("\n") == [
        "policy         harmlessness Elo   helpfulness Elo   honesty Elo   complies         right   objects   evasive",
        "                        n = 250           n = 250         n = 9    n = 250   n = 240–250   n = 250   n = 250",
        "─" * 108,
        "helpful_rlhf      0 [reference]     0 [reference]             –       98 %          92 %         –         –",
        "rl_cai           728 [650, 811]     -13 [-40, 15]   10 [-1, 21]        0 %          95 %      90 %       0 %",
        *NOTE,
    ]
    assert "Another training, with another seed or on another processor, can differ by more" in ONE_TRAINING


def test_a_policy_with_an_interval_is_never_called_the_reference() -> None:
    table = pd.DataFrame(
        [
            _row("helpful_rlhf", "harmlessness_elo", 0.0, None, None, 50),
            _row("rl_cai", "harmlessness_elo", 801.7, 801.7, 801.7, 50),
        ]
    )
    *_, reference, won_all = render_summary(table).split("\n")
    assert reference.split() == ["helpful_rlhf", "0", "[reference]"]
    assert won_all.split() == ["rl_cai", "802", "[802,", "802]"]


def test_neighbours_in_the_rankings_stand_below() -> None:
    over = "harmlessness_elo_gap{}_over_{}"
    table = pd.DataFrame(
        [
            _row("rl_cai", "harmlessness_elo", 728.4, 650.2, 810.9, 250),
            _row("rl_cai", over.format("", "sl_cai"), 113.2, 86.0, 139.4, 250),
            _row("rl_cai", over.format("_p", "sl_cai"), 0.001, None, None, 250),
            _row("rl_cai", over.format("_more_prompts", "sl_cai"), 0.0, None, None, 250),
            _row("sl_cai", over.format("", "hh_rlhf"), 9.0, -20.0, 30.0, 250),
            _row("sl_cai", over.format("_p", "hh_rlhf"), 0.41, None, None, 250),
            _row("sl_cai", over.format("_more_prompts", "hh_rlhf"), 2400.0, None, None, 250),
            _row("hh_rlhf", over.format("", "pretrained"), 0.0, -20.0, 20.0, 250),
            _row("hh_rlhf", over.format("_p", "pretrained"), 1.0, None, None, 250),
        ]
    )
    assert render_summary(table).split("\n")[-7 - len(NOTE) :] == [
        "",
        "neighbours in a ranking                                   Elo ahead       p   prompts to add",
        "                                                    [95 % interval]",
        "─" * 92,
        "harmlessness                   rl_cai over sl_cai     113 [86, 139]   0.001                –",
        "harmlessness                  sl_cai over hh_rlhf       9 [-20, 30]   0.410             2400",
        "harmlessness              hh_rlhf over pretrained       0 [-20, 20]   1.000             even",
        *NOTE,
    ]


def test_shares_by_split_have_a_table_of_their_own() -> None:
    table = pd.DataFrame(
        [
            _row("sl_cai", "objects", 0.54, 0.5, 0.58, 600),
            _row("sl_cai", "objects.act", 0.61, 0.55, 0.66, 200),
            _row("sl_cai", "objects.object", 0.4, 0.3, 0.5, 100),
            _row("rl_cai", "objects", 0.9, 0.86, 0.93, 600),
            _row("rl_cai", "objects.object", 0.7, 0.6, 0.78, 100),
            _row("rl_cai", "harmlessness_elo_gap_over_v1.2", 1.0, None, None, 9),
            _row("rl_cai", "harmlessness_elo_gap_p_over_v1.2", 1.0, None, None, 9),
        ]
    )
    lines = render_summary(table).split("\n")
    assert [line.split() for line in lines[4:10]] == [
        ["rl_cai", "90", "%", "[86,", "93]"],
        [],
        ["share,", "held-out", "prompts", "sl_cai", "rl_cai"],
        ["─" * 65],
        ["objects,", "act", "n", "=", "200", "61", "%", "[55,", "66]", "–"],
        ["objects,", "object", "n", "=", "100", "40", "%", "[30,", "50]", "70", "%", "[60,", "78]"],
    ]


def test_shares_have_their_intervals_where_nobody_is_rated() -> None:
    share, rating = (
        _row("rl_cai", "complies", 0.5, 0.3, 0.7, 20),
        _row("rl_cai", "harmlessness_elo", 9.0, 2.0, 16.0, 20),
    )
    assert render_summary(pd.DataFrame([share])).split("\n")[3].split() == ["rl_cai", "50", "%", "[30,", "70]"]
    assert "50 % [30, 70]" not in render_summary(pd.DataFrame([share, rating]))


def test_without_intervals_nothing_is_said_of_them() -> None:
    assert ONE_TRAINING[:20] not in render_summary(pd.DataFrame([_row("rl_cai", "complies", 0.5, None, None, 2)]))


def test_ratings_by_the_training_judge_are_marked() -> None:
    table = pd.DataFrame([_row("rl_cai", "harmlessness_elo_by_training_judge", 728.4, 650.2, 810.9, 250)])
    assert "harmlessness Elo (training judge)" in render_summary(table)


def test_an_empty_table_says_so() -> None:
    table = pd.DataFrame(columns=["policy", "metric", "value", "low", "high", "n"])
    assert render_summary(table).startswith("Nobody rated or judged the policies in this run, so how harmless")


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match="missing low, high"):
        render_summary(pd.DataFrame(columns=["policy", "metric", "value", "n"]))
    row = _row("rl_cai", "right", 0.9, 0.8, 1.0, 9)
    with pytest.raises(ValueError, match=r"\('rl_cai', 'right'\) twice"):
        render_summary(pd.DataFrame([row, row]))


def test_a_referee_that_learned_from_people_says_how_often_it_is_right() -> None:
    metrics = {
        "referee.is_training_judge": {"value": 0.0, "low": None, "high": None, "n": 2},
        "referee.accuracy.harmlessness": {"value": 0.713, "low": 0.68, "high": 0.741, "n": 812},
    }
    (line,) = referee_lines(metrics)
    assert line.startswith("The referee of harmlessness is a preference model of human comparisons.")
    assert line.endswith("agrees with people in 71 % [68, 74], n = 812.")
    assert referee_lines({}) == []
