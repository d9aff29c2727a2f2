"""The ablations: one thing is exchanged at a time, and every variant is rated by the judge."""

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.judging import Judgement
from cai_kedro.core.schemas import check_table
from cai_kedro.pipeline_registry import register_pipelines
from cai_kedro.pipelines.ablations import labels, revisions
from cai_kedro.pipelines.ablations.effects import COLUMNS, AblationParams, elo_of_variants, label_quality
from cai_kedro.pipelines.ablations.pipeline import LABELS, again, gather
from tests.pipelines.builders import comparison_table, constitution, prompt_table, response_table
from tests.project_copy import PROJECT

PARAMS = AblationParams(
    prompts=50, cot_pairs=3, harmless_from=2.0, min_rating_gap=0.5, batch_size=8, n_bootstrap=100
)  # fmt: skip


class LastNumberJudge:
    """An answer is as harmless as the number it ends on; the higher one wins."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        number = float(response.rsplit(maxsplit=1)[-1])
        return Judgement("any", "theft", {"harmlessness": number, "helpfulness": number})

    def prefer(self, messages: Conversation, a: str, b: str, objective: str, rng: random.Random) -> float:
        gap = float(a.rsplit(maxsplit=1)[-1]) - float(b.rsplit(maxsplit=1)[-1])
        return 0.5 if gap == 0 else float(gap > 0)


def revised(last: list[float], prefix: str = "number") -> pd.DataFrame:
    """Revisions of p0, p1, …: step 1 is rated 0, step 2 as given."""
    rows = [
        {
            "prompt_id": f"p{i}",
            "sample": 0,
            "step": step,
            "principle_id": "c0",
            "critique": None,
            "revision": f"{prefix} {n}",
        }
        for i, number in enumerate(last)
        for step, n in ((1, 0.0), (2, number))
    ]
    return check_table("revisions", pd.DataFrame(rows))


def value(table: pd.DataFrame, variant: str, metric: str) -> float:
    (row,) = table[(table["variant"] == variant) & (table["metric"] == metric)].itertuples()
    return float(row.value)


def test_smaller_sets_of_principles_are_part_of_larger_ones() -> None:
    whole = constitution(16)
    sets = {k: revisions.first_principles(k)(whole, 3).critique_principles for k in revisions.PRINCIPLES}
    assert [len(kept) for kept in sets.values()] == [1, 2, 4, 8, 16]
    for fewer, more in zip(sets.values(), list(sets.values())[1:], strict=False):
        assert more[: len(fewer)] == fewer
    assert sets[1] != revisions.first_principles(1)(whole, 4).critique_principles
    assert len(revisions.first_principles(8)(constitution(4), 3).critique_principles) == 4


def test_every_label_of_the_ensemble_has_a_principle_of_its_own() -> None:
    whole = constitution(16)
    orders = [whole, *(labels.rotated(by)(whole) for by in range(1, labels.ENSEMBLE))]
    for place in range(16):
        assert len({order.preference_principles[place].id for order in orders}) == labels.ENSEMBLE


def test_critiques_are_compared_step_by_step_on_the_same_prompts() -> None:
    n = 12
    table = revisions.rate_critiques(
        prompt_table(["?"] * n),
        response_table(["first 0"] * (n - 2)),
        revised([4.0] * n),
        revised([1.0] * n, "direct"),
        LastNumberJudge(),
        PARAMS,
        1,
    )
    assert list(table.columns) == COLUMNS
    assert set(table["n"]) == {n - 2}
    assert value(table, "critiqued step 2", "harmless") == 1
    assert value(table, "direct step 2", "harmless") == 0
    assert value(table, "first response", "elo_harmlessness") == 0
    assert value(table, "critiqued step 2", "elo_harmlessness") > value(table, "direct step 2", "elo_harmlessness") > 0
    assert value(table, "critiqued over direct, step 2", "harmlessness_difference") == 3
    assert value(table, "critiqued over direct, step 1", "harmlessness_difference") == 0


def test_sl_policies_are_compared_under_both_objectives() -> None:
    red, helpful = prompt_table(["?"] * 10, "r"), prompt_table(["!"] * 6, "h")
    prompts = pd.concat([red, helpful])

    def answers(policy: str, at_red: float, at_helpful: float) -> pd.DataFrame:
        said = [f"a {at_red}"] * len(red) + [f"a {at_helpful}"] * len(helpful)
        return pd.DataFrame({"prompt_id": prompts["prompt_id"], "sample": 0, "policy": policy, "response": said})

    table = revisions.rate_sl_policies(
        prompts, red, pd.concat([answers("sl_cai", 2, 2), answers("rl_cai", 4, 4)]),
        answers("sl_cai", 3, 1), answers("sl_cai", 2, 2), LastNumberJudge(), PARAMS, 1,
    )  # fmt: skip
    assert set(table["variant"]) == {"all", "last", "all, as many"}
    assert value(table, "last", "elo_harmlessness") > 100
    assert value(table, "last", "elo_helpfulness") < -100
    assert value(table, "all, as many", "elo_harmlessness") == pytest.approx(0, abs=1e-6)
    assert value(table, "last", "helpfulness") == 1


def mixed(source: str = "ai") -> pd.DataFrame:
    people = comparison_table([1.0, 0.0], "helpfulness", "human-")
    ours = comparison_table([0.6, 0.5, 0.2]).assign(
        source=source, p_a_first=[0.4, 0.6, 0.1], p_a_second=[0.8, 0.4, 0.3]
    )
    return check_table("comparisons", pd.concat([ours, people]))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (labels.harden, [1, 0.5, 0]),
        (labels.one_order, [0.4, 0.6, 0.1]),
        (labels.clamped((0.0, 1.0)), [0.6, 0.5, 0.2]),
        (labels.clamped((0.45, 0.55)), [0.55, 0.5, 0.45]),
        (lambda table: labels.ensemble(table, mixed().iloc[::-1].assign(p_a_better=0.0)), [0.3, 0.25, 0.1]),
    ],
)
def test_ai_labels_are_changed_and_human_ones_are_not(change: Any, expected: list[float]) -> None:
    changed = check_table("comparisons", change(mixed()))
    assert changed["p_a_better"].tolist() == pytest.approx([*expected, 1.0, 0.0])
    pd.testing.assert_frame_equal(changed.drop(columns="p_a_better"), mixed().drop(columns="p_a_better"))


def test_labels_are_good_where_the_judge_says_so() -> None:
    found = label_quality([0.9, 0.2, 0.7, 0.1], np.array([2.0, -1.0, -3.0, 0.1]), list("abcd"), 0.5)
    assert found["label_accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["label_squared_error"]["value"] == pytest.approx((0.01 + 0.04 + 0.49) / 3)
    assert found["label_accuracy"]["n"] == 3


def test_variants_of_labels_are_rated_against_the_run_itself() -> None:
    cases = pd.DataFrame(
        {"pair_id": ["t0", "t1"], "prompt_id": ["p0", "p1"], "objective": ["harmlessness", "helpfulness"]}
    )

    def scores(better: list[float]) -> pd.DataFrame:
        sides = [pd.DataFrame({"prompt_id": ["t1", "t0"], "sample": k, "step": 0, "arm": "x"}) for k in (0, 1)]
        return pd.concat([sides[0].assign(score=better[::-1]), sides[1].assign(score=0.0)])

    ai = comparison_table([0.9, 0.2]).assign(source="ai", response_a=["a 4", "b 4"], response_b=["a 1", "b 1"])
    given = {"soft_comparisons": ai, "hard_comparisons": labels.harden(ai)}
    given |= {"soft_scores": scores([1.0, -1.0]), "hard_scores": scores([1.0, 1.0])}
    table = labels.rate_labels_of({"soft or hard labels": ("soft", ["hard"])})(
        cases, LastNumberJudge(), PARAMS, **given
    )
    assert value(table, "soft", "label_accuracy") == 0.5
    assert value(table, "soft", "pm_accuracy") == 0.5
    assert value(table, "soft", "pm_accuracy_harmlessness") == 1
    assert value(table, "hard", "pm_accuracy_difference") == 0.5
    assert value(table, "hard", "label_squared_error") == 0.5


def test_chains_of_thought_are_compared_on_the_same_pairs_before_the_clamp() -> None:
    pairs = comparison_table([0.5, 0.5, 0.5]).assign(source="ai_cot", response_a="a 4", response_b="b 1")
    run = pairs.assign(p_a_first=[0.9, 0.1, 0.1], p_a_second=[0.9, 0.1, 0.1])
    several = pairs.iloc[:2].assign(p_a_first=0.9, p_a_second=0.7)
    table = labels.rate_chains(run, LastNumberJudge(), PARAMS, chains_2=several)
    assert value(table, "1", "label_accuracy") == 0.5
    assert value(table, "2", "label_accuracy") == 1
    assert value(table, "2", "label_squared_error") == pytest.approx(0.04)
    assert set(table["n"]) == {2}


def test_equal_answers_tie_and_the_reference_is_at_0() -> None:
    answers = pd.DataFrame(
        {
            "variant": ["a", "b"] * 3,
            "prompt_id": ["p0", "p0", "p1", "p1", "p2", "p2"],
            "messages": list(np.repeat(prompt_table(["?"] * 3)["messages"].to_numpy(), 2)),
            "response": "same 1",
        }
    )
    elo = elo_of_variants(answers, "harmlessness", "a", LastNumberJudge(), PARAMS, 0)
    assert elo["a"]["value"] == 0
    assert elo["b"]["value"] == pytest.approx(0, abs=1e-6)


def test_a_node_again_has_one_thing_exchanged() -> None:
    def combine(left: str, right: str) -> str:
        return left + right

    node = Node(combine, inputs=["x", "params:y"], outputs="z", name="combine")
    other = again(node, "other", ["zz"], {"x": "xx"}, lambda given: {"params:y": given["params:y"].upper()})
    assert other.inputs == ["xx", "params:y"]
    assert other.run({"xx": "a", "params:y": "b"}) == {"zz": "aB"}
    with pytest.raises(KeyError, match=r"no input \['w'\]"):
        again(node, "other", ["zz"], {"w": "xx"})


def test_all_effects_come_into_one_table_and_into_metrics() -> None:
    one = pd.DataFrame([("clamp", "clamp off, x", "elo", 1.0, float("nan"), None, 3)], columns=COLUMNS)
    table, metrics = gather(one, one.assign(variant="b", low=0.5, high=2.0))
    assert len(table) == 2
    assert metrics == {
        "ablation.clamp.clamp_off_x.elo": {"value": 1.0, "low": None, "high": None, "n": 3},
        "ablation.clamp.b.elo": {"value": 1.0, "low": 0.5, "high": 2.0, "n": 3},
    }


def test_ablations_read_a_finished_run_and_are_no_part_of_it() -> None:
    bootstrap_project(PROJECT)
    KedroSession.create(PROJECT, env="base").load_context()  # the pipelines are those of the last context
    pipelines = register_pipelines()
    default, ablations = pipelines["__default__"], pipelines["ablations"]
    given = {name for name in ablations.inputs() if not name.startswith("params:")}
    assert {name.partition("@")[0] for name in given} <= {name.partition("@")[0] for name in default.datasets()}
    assert not ablations.all_outputs() & default.all_outputs()
    assert not {node.name for node in ablations.nodes} & {node.name for node in default.nodes}
    assert "reinforce" not in " ".join(node.name for node in ablations.nodes)
    rated = {variant for base, others in LABELS.values() for variant in (base, *others)}
    (rate,) = [node for node in ablations.nodes if node.name == "ablations.rate_labels"]
    assert {f"ablations.{variant}_scores" for variant in rated} <= set(rate.inputs)
