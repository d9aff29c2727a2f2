"""Tests on the policies' own answers, on a judge whose raters' doubts are known."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.judging import Judgement
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.evaluation.hard_tests import (
    KINDS,
    draw_hard_cases,
    measure_hard_tests_of,
    pairs_to_label,
)
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from tests.pipelines.builders import AXES, comparison_table, prompt_table

PARAMETERS = Path(__file__).parents[2] / "conf" / "base" / "parameters_evaluation.yml"
#: Behaviour → rating, and how probably a rater prefers it to what is rated below it.
RATINGS = {"objection": 4.0, "weak": 2.5, "evasive": 2.3, "preachy": 2.2, "comply": 0.0}


class Judge:
    """Rates by the first word."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        return Judgement(
            response.split(maxsplit=1)[0], "theft", {"harmlessness": RATINGS[response.split(maxsplit=1)[0]]}
        )


class JudgeOfDoubts(Judge):
    """Knows that raters are sure of an objection, and like silence better than a weak one."""

    def p_prefer(self, messages: Conversation, a: str, b: str, axis: str) -> float | None:
        first, second = a.split(maxsplit=1)[0], b.split(maxsplit=1)[0]
        if {first, second} == {"evasive", "preachy"}:
            return 0.5
        if {first, second} == {"weak", "evasive"}:
            return 0.4 if first == "weak" else 0.6
        return 0.9 if RATINGS[first] > RATINGS[second] else 0.1


def params(**hard: Any) -> EvaluationParams:
    shipped = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["evaluation"]
    return EvaluationParams.model_validate({**shipped, "hard_tests": {**shipped["hard_tests"], **hard}})


def judgements(answers: dict[str, list[str]], n: int) -> pd.DataFrame:
    """Policy → what it answers to the prompts p0, p1, …, again and again; every other prompt is of another split."""
    rows = [
        {
            "policy": policy,
            "prompt_id": f"p{i}",
            "sample": 0,
            "axis": "harmlessness",
            "split": ("act", "object")[i % 2],
            "category": "theft",
            "response": f"{said[i % len(said)]} by {policy}",
            "behaviour": said[i % len(said)],
            "rating": RATINGS[said[i % len(said)]],
        }
        for policy, said in answers.items()
        for i in range(n)
    ]
    return check_table("judgements", pd.DataFrame(rows))


def drawn(answers: dict[str, list[str]], n: int, judge: Any, **hard: Any) -> pd.DataFrame:
    return draw_hard_cases(judgements(answers, n), prompt_table(["?"] * n), judge, params(**hard), 0)


def test_pairs_are_of_two_policies_and_of_the_kinds_that_they_are() -> None:
    cases = drawn({"a": ["objection"], "b": ["weak"], "c": ["evasive"], "d": ["evasive"]}, 40, Judge())
    assert cases["pair_id"].is_unique
    told = {
        (row.better.split()[0], row.worse.split()[0]): (row.near, row.none_ideal)
        for row in cases.itertuples()
        if not row.sampled
    }
    assert told == {("weak", "evasive"): (True, True)}, "near, and neither is an objection"
    assert {kind: int(cases[kind].sum()) for kind in KINDS} == dict.fromkeys(KINDS, 40), "one a prompt and kind"
    sampled = cases[cases["sampled"]]
    assert sampled["prompt_id"].is_unique
    pairs = set(zip(sampled["better"].str.split().str[0], sampled["worse"].str.split().str[0], strict=True))
    assert pairs == {("objection", "weak"), ("objection", "evasive"), ("weak", "evasive")}
    assert cases["p_better"].isna().all()


def test_so_many_of_a_kind_and_split_are_kept_and_more_prompts_move_none() -> None:
    few = drawn({"a": ["objection"], "b": ["comply"]}, 40, Judge(), pairs=5)
    assert few.groupby("split")["sampled"].sum().to_dict() == {"act": 5, "object": 5}
    assert few["near"].sum() == few["none_ideal"].sum() == 0
    more = drawn({"a": ["objection"], "b": ["comply"]}, 42, Judge(), pairs=5)
    assert len(set(few["pair_id"]) & set(more["pair_id"])) >= 8


def test_what_raters_like_better_is_the_better_one() -> None:
    cases = drawn({"a": ["weak", "evasive"], "b": ["evasive", "preachy"]}, 4, JudgeOfDoubts())
    assert list(cases["better"].str.split().str[0]) == ["evasive"] * 2, "and nobody prefers either of the others"
    assert list(cases["p_better"]) == [0.6, 0.6]


def test_a_labeller_sees_the_better_answer_on_either_side() -> None:
    cases = drawn({"a": ["objection"], "b": ["comply"]}, 60, Judge())
    helpful = cases.assign(objective="helpfulness", pair_id=cases["pair_id"] + ".h")
    pairs = check_table("pairs", pairs_to_label(pd.concat([cases, helpful]), AXES, 0))
    assert list(pairs["pair_id"]) == list(cases["pair_id"])
    first = pairs["response_a"].str.startswith("objection")
    assert 15 < first.sum() < 45
    assert pairs["response_b"].str.startswith("comply").equals(first)


def cases_of(p_better: list[float]) -> pd.DataFrame:
    n = len(p_better)
    return pd.DataFrame(
        {
            "pair_id": [f"c{i}" for i in range(n)],
            "prompt_id": [f"p{i}" for i in range(n)],
            "messages": prompt_table(["?"] * n)["messages"],
            "objective": "harmlessness",
            "split": ["act", "object"] * (n // 2),
            "better": [f"good {i}" for i in range(n)],
            "worse": [f"bad {i}" for i in range(n)],
            "p_better": p_better,
            "sampled": True,
            "near": [True] * 2 + [False] * (n - 2),
            "none_ideal": False,
        }
    )


def scores_of(margins: list[float]) -> pd.DataFrame:
    rows = [
        {"prompt_id": f"c{i}", "sample": sample, "step": 0, "arm": "rl_cai", "score": margin * (1 - sample)}
        for i, margin in enumerate(margins)
        for sample in (0, 1)
    ]
    return check_table("scores", pd.DataFrame(rows))


def test_a_choice_is_held_against_raters_who_are_not_sure() -> None:
    cases = cases_of([0.9, 0.6, 0.8, 0.7])
    labels = comparison_table([0.7, 0.7, 0.5, 0.2]).assign(
        pair_id=cases["pair_id"], source="ai",
        response_a=["good 0", "bad 1", "good 2", "bad 3"], response_b=["bad 0", "good 1", "bad 2", "good 3"],
    )  # fmt: skip
    measured = measure_hard_tests_of(("rl_cai",))
    table, metrics = measured(cases, labels, rl_cai=scores_of([1.0, -1.0, 2.0, 0.0]))
    cells = table.set_index(["chooser", "kind", "split"])
    # right, wrong, right and a coin: the raters who agree with that
    assert cells.loc[("rl_cai", "sampled", "all"), "value"] == pytest.approx((0.9 + 0.4 + 0.8 + 0.5) / 4)
    assert cells.loc[("rl_cai", "sampled", "all"), "right"] == pytest.approx(2.5 / 4)
    assert cells.loc[("rl_cai", "sampled", "all"), "ceiling"] == pytest.approx(3.0 / 4)
    assert cells.loc[("rl_cai", "near", "all"), "value"] == pytest.approx((0.9 + 0.4) / 2)
    assert cells.loc[("rl_cai", "sampled", "object"), "value"] == pytest.approx((0.4 + 0.5) / 2)
    # the second label is for the worse answer, the third for none, the last for the better one, which is B
    assert cells.loc[("ai", "sampled", "all"), "value"] == pytest.approx((0.9 + 0.4 + 0.5 + 0.7) / 4)
    assert set(table["chance"]) == {0.5}
    assert set(table["kind"]) == {"sampled", "near"}
    assert metrics["hard_accuracy.rl_cai.harmlessness.near"]["value"] == pytest.approx(0.65)
    assert metrics["hard_ceiling.harmlessness.near"]["value"] == pytest.approx(0.75)
    assert metrics["hard_accuracy.ai.harmlessness.sampled"]["n"] == 4
    perfect, _ = measured(cases, rl_cai=scores_of([1.0] * 4))
    assert (perfect["value"] == perfect["ceiling"]).all()


def test_without_known_doubts_there_is_no_ceiling() -> None:
    cases = cases_of([float("nan")] * 2)
    table, metrics = measure_hard_tests_of(("rl_cai",))(cases, rl_cai=scores_of([1.0, -1.0]))
    assert set(table.loc[table["split"] == "all", "value"]) == {0.5}
    assert table["ceiling"].isna().all()
    assert not [name for name in metrics if name.startswith("hard_ceiling")]


def test_a_judge_without_ratings_leaves_nothing_to_test(caplog: pytest.LogCaptureFixture) -> None:
    unrated = judgements({"a": ["objection"], "b": ["comply"]}, 4).assign(rating=float("nan"))
    cases = draw_hard_cases(unrated, prompt_table(["?"] * 4), Judge(), params(), 0)
    assert "there are no hard tests" in caplog.text
    assert check_table("pairs", pairs_to_label(cases, AXES, 0)).empty
    nobody = pd.DataFrame(columns=["prompt_id", "sample", "step", "arm", "score"])
    table, metrics = measure_hard_tests_of(("rl_cai",))(cases, rl_cai=nobody)
    assert table.empty
    assert metrics == {}
