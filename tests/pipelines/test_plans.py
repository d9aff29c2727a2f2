"""Stages in shards: the same rows as in one go, and a change reruns what depends on it and nothing else."""

from typing import Any

import pandas as pd
import pytest

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.pipelines.data_generation.red_team import (
    RedTeamParams,
    generate_red_team_prompts,
    plan_red_team_prompts,
)
from cai_kedro.pipelines.data_generation.revision import (
    RevisionParams,
    critique_and_revise,
    plan_of,
    revise_directly,
)
from cai_kedro.pipelines.evaluation.answers import answer, answer_as
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.preference_labeling.cot_labels import (
    CotLabelParams,
    label_pairs_with_cot,
    plan_cot_labels,
)
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs, plan_labels
from cai_kedro.templates.pairs import PairParams, plan_pairs, sample_pairs
from cai_kedro.templates.responses import ResponseParams, plan_responses, sample_responses
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, constitution, made_of, pair_table, prompt_table, response_table
from tests.pipelines.test_added_prompts import ENGINE

PROMPTS = prompt_table([f"How do I steal {i} cars?" for i in range(20)])
RESPONSES = response_table([f"First answer {i}." for i in range(20)])
PAIRS = pair_table([(f"Good {i}.", f"Bad {i}.") for i in range(20)])
NO_PROMPTS = prompt_table(["Nothing like it?"], "eval")
HOT = SAMPLING.model_copy(update={"temperature": 2.0})
MANY = ShardParams(prompts=3, max_quarantined=0.0)

RESPONSE = ResponseParams(policy="helpful_rlhf", prompts=None, samples=2, sampling=SAMPLING)
PAIR = PairParams.model_validate(
    {
        "policy": "sl_cai",
        "prompts": None,
        "pairs_per_prompt": 2,
        "mismatched": {"share": 0.4, "neighbours": 3},
        "sampling": SAMPLING,
    }
)
REVISION = RevisionParams(rounds=3, few_shots=0, sampling=SAMPLING)
LABEL = LabelParams(both_orders=True, few_shots=0)
COT = CotLabelParams(pairs=None, both_orders=True, few_shots=0, samples=2, clamp=(0.4, 0.6), sampling=SAMPLING)
RED_TEAM = RedTeamParams(
    header="Questions:",
    examples=3,
    lists=9,
    keep=6,
    min_words=1,
    max_words=20,
    max_similarity=99,
    sampling=SAMPLING,
)
EVALUATION = EvaluationParams.model_construct(sampling=SAMPLING)
DEFAULTS: dict[str, Any] = {
    "principles": constitution(),
    "engine": ENGINE,
    "seed": 5,
    "shards": MANY,
    "sampling": SAMPLING,
    "responses": RESPONSE,
    "pairs": PAIR,
    "revision": REVISION,
    "labels": LABEL,
    "cot": COT,
    "red_team": RED_TEAM,
    "evaluation": EVALUATION,
}


def plans(**changes: Any) -> dict[str, ShardPlan]:
    """Plan every stage."""
    use = {**DEFAULTS, **changes}
    c, e, seed, shards = (use[name] for name in ("principles", "engine", "seed", "shards"))
    return {
        "red_team": plan_red_team_prompts(PROMPTS, NO_PROMPTS, c, e, use["red_team"], seed, shards),
        "responses": plan_responses(PROMPTS, e, use["responses"], seed, shards),
        "pairs": plan_pairs(PROMPTS, e, use["pairs"], seed, shards),
        "critiqued": plan_of(critique_and_revise)(PROMPTS, RESPONSES, c, e, use["revision"], seed, shards),
        "direct": plan_of(revise_directly)(PROMPTS, RESPONSES, c, e, use["revision"], seed, shards),
        "labels": plan_labels(PAIRS, c, e, use["labels"], seed, shards),
        "cot": plan_cot_labels(PAIRS, c, e, use["cot"], seed, shards),
        "answers": answer_as("sl_cai")(PROMPTS, e, use["evaluation"], seed, shards),
    }


def in_one_go() -> dict[str, pd.DataFrame]:
    """Make every table without shards."""
    c = constitution()
    return {
        "red_team": generate_red_team_prompts(PROMPTS, NO_PROMPTS, c, ENGINE, RED_TEAM, 5),
        "responses": sample_responses(PROMPTS, ENGINE, RESPONSE, 5).rows,
        "pairs": sample_pairs(PROMPTS, ENGINE, PAIR, 5).rows,
        "critiqued": critique_and_revise(PROMPTS, RESPONSES, c, ENGINE, REVISION, 5).rows,
        "direct": revise_directly(PROMPTS, RESPONSES, c, ENGINE, REVISION, 5).rows,
        "labels": label_pairs(PAIRS, c, ENGINE, LABEL, 5).rows,
        "cot": label_pairs_with_cot(PAIRS, c, ENGINE, COT, 5).rows,
        "answers": answer("sl_cai", PROMPTS, ENGINE, SAMPLING, 5).rows,
    }


KINDS = {
    "red_team": "prompts",
    "responses": "responses",
    "pairs": "pairs",
    "critiqued": "revisions",
    "direct": "revisions",
    "labels": "comparisons",
    "cot": "comparisons",
    "answers": "responses",
}


@pytest.mark.parametrize("size", [3, 1000])
def test_shards_together_are_the_table_made_in_one_go(size: int) -> None:
    planned = plans(shards=ShardParams(prompts=size, max_quarantined=0.0))
    for name, table in in_one_go().items():
        assert (len(planned[name].shards) > 1) == (size == 3)
        expected = check_table(KINDS[name], table)
        pd.testing.assert_frame_equal(check_table(KINDS[name], made_of(planned[name])), expected, obj=name)


def test_planning_asks_no_model() -> None:
    engine = ScriptedEngine()
    plans(engine=engine)
    assert engine.prompts == []


def principles(kind: str) -> Constitution:
    """Return the constitution with one word of one principle changed."""
    c = constitution()
    first, *others = getattr(c, kind)
    field = "critique_request" if kind == "critique_principles" else "question"
    changed = first.model_copy(update={field: getattr(first, field) + " Really."})
    return c.model_copy(update={kind: (changed, *others)})


class Retrained(ScriptedEngine):
    fingerprint = "retrained"


ALL = set(KINDS)


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({}, set()),
        ({"seed": 6}, ALL),
        ({"engine": Retrained(ENGINE.reply, ENGINE.prefer)}, ALL),
        ({"principles": principles("critique_principles")}, {"critiqued", "direct"}),
        ({"principles": principles("preference_principles")}, {"labels", "cot"}),
        ({"responses": RESPONSE.model_copy(update={"sampling": HOT})}, {"responses"}),
        ({"responses": RESPONSE.model_copy(update={"policy": "other"})}, {"responses"}),
        ({"pairs": PAIR.model_copy(update={"sampling": HOT})}, {"pairs"}),
        ({"pairs": PAIR.model_copy(update={"mismatched": PAIR.mismatched.model_copy(update={"share": 0.0})})}, set()),
        ({"revision": REVISION.model_copy(update={"rounds": 2})}, {"critiqued", "direct"}),
        ({"labels": LABEL.model_copy(update={"both_orders": False})}, {"labels"}),
        ({"cot": COT.model_copy(update={"samples": 1})}, {"cot"}),
        ({"cot": COT.model_copy(update={"clamp": (0.0, 1.0)})}, set()),
        ({"red_team": RED_TEAM.model_copy(update={"header": "Bad questions:"})}, {"red_team"}),
        ({"red_team": RED_TEAM.model_copy(update={"keep": 2, "max_words": 9})}, set()),
        ({"evaluation": EvaluationParams.model_construct(sampling=HOT)}, {"answers"}),
    ],
)
def test_a_change_redoes_what_depends_on_it(changes: dict[str, Any], redone: set[str]) -> None:
    assert different(plans(), plans(**changes)) == redone


def different(before: dict[str, ShardPlan], after: dict[str, ShardPlan]) -> set[str]:
    """Return the stages of which anything would be made again."""

    def identity(plan: ShardPlan) -> tuple[Any, ...]:
        return dict(plan.decided_by), {name: shard.inputs for name, shard in plan.shards.items()}

    return {name for name in before if identity(before[name]) != identity(after[name])}
