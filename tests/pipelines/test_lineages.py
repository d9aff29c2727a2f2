"""The training pipelines of other lineages than the default one: whole, and without what nobody needs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from kedro.pipeline import Pipeline

from cai_kedro.core.constitution import NO_HELPFULNESS, Constitution, PreferencePrinciple
from cai_kedro.core.lineage import Lineage
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.pipelines import base_model, baselines, data_generation, preference_labeling, rl_cai, sl_cai
from cai_kedro.pipelines.base_model.nodes import provide_given
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs, plan_labels
from tests.conftest import ScriptedEngine
from tests.lineages import lineage
from tests.pipelines.builders import AXES, constitution, pair_table

COMMIT = "0123456789" * 4
GIVEN = {"policies": {"helpful_rlhf": {"given": "pretrained"}}}
LINEAGES: dict[str, Mapping[str, Any]] = {
    "default": {},
    "given": GIVEN,
    "labeller": {**GIVEN, "helpfulness": "labeller"},
    "none": {**GIVEN, "helpfulness": "none"},
    "elsewhere": {
        "policies": {"helpful_rlhf": {"given": f"a/b@{COMMIT}"}},
        "roles": {"critic": "models/c", "labeller": "s"},
    },
    "no thinker": {"roles": {"thinker": None}},
    "sl_cai given": {"policies": {"sl_cai": {"given": "models/sl"}}},
    "one more": {"policies": {"rl_more": {"start": "rl_cai", "comparisons": ["ai", "sl_helpfulness"]}}},
    "few": {"policies": {"hh_rlhf": None, "rl_cai_cot": None}},
}
USER = {
    *("given_red_team_prompts", "given_helpful_prompts", "eval_red_team_prompts", "eval_helpful_prompts"),
    *("held_out_phrases", "constitution", "human_raters", "s"),
}


def training(known: Lineage) -> Pipeline:
    stages = (base_model, baselines, sl_cai, preference_labeling, rl_cai)
    made = [data_generation.create_pipeline(known, AXES), *(stage.create_pipeline(known) for stage in stages)]
    return sum(made, start=Pipeline([]))


def untranscoded(names: set[str]) -> set[str]:
    return {name.partition("@")[0] for name in names if not name.startswith("params:")}


@pytest.mark.parametrize("name", LINEAGES)
def test_whatever_is_read_is_given_or_made(name: str) -> None:
    known = lineage(LINEAGES[name])
    pipeline = training(known)
    assert untranscoded(pipeline.inputs()) - untranscoded(pipeline.all_outputs()) <= USER
    assert {f"{model}@checkpoint" for model in known.evaluated.values()} <= pipeline.all_outputs()
    arms = {node.namespace for node in pipeline.nodes if node.short_name == "reinforce"}
    assert arms == set(known.arms)


def test_nobody_is_asked_where_nobody_is_there() -> None:
    for name in ("labeller", "none"):
        pipeline = training(lineage(LINEAGES[name]))
        assert "human_raters" not in pipeline.inputs()
        assert not [node for node in pipeline.nodes if "human_feedback" in node.tags]


def test_the_labeller_compares_helpful_answers_in_their_place() -> None:
    pipeline = training(lineage(LINEAGES["labeller"]))
    (node,) = [node for node in pipeline.nodes if "ai_helpfulness_comparisons" in node.outputs]
    assert "sl_helpful_pairs" in node.inputs
    (mix,) = [node for node in pipeline.nodes if node.name == "rl_cai.mix_comparisons"]
    assert "ai_helpfulness_comparisons" in mix.inputs


def test_a_model_that_is_given_is_not_trained() -> None:
    pipeline = training(lineage(LINEAGES["given"]))
    assert not [name for name in pipeline.datasets() if name.startswith("helpful_rlhf")]
    assert "human_red_team_helpfulness_comparisons" not in pipeline.all_outputs()
    elsewhere = training(lineage(LINEAGES["elsewhere"]))
    assert {"helpful_rlhf.model@checkpoint", "critic.model@checkpoint"} <= elsewhere.all_outputs()
    assert "s" in elsewhere.inputs()


def test_where_a_given_model_lies() -> None:
    assert provide_given(f"a/b@{COMMIT}", "auto") == ModelReference(repo="a/b", revision=COMMIT)
    assert provide_given("models/x", "hh") == ModelReference(path="models/x", layout="hh")
    assert provide_given("models/x.gguf", "chat") == GGUFFile("models/x.gguf", "chat")


def _constitution() -> Constitution:
    helps = PreferencePrinciple(id="useful", title="Useful", harms=(), question="Which answer is of more use?")
    return constitution().model_copy(update={"helpfulness_principles": (helps,)})


def test_helpful_pairs_are_labelled_under_principles_of_helpfulness() -> None:
    engine, params = ScriptedEngine(), LabelParams(both_orders=True, few_shots=0)
    pairs = pair_table([("a", "b"), ("c", "d")])
    labels = label_pairs(pairs, _constitution(), engine, params, 3, "helpfulness").rows
    assert set(check_table("comparisons", labels)["objective"]) == {"helpfulness"}
    assert set(labels["principle_id"]) == {"useful"}
    assert all("Which answer is of more use?" in str(prompt) for prompt in engine.prompts)
    plan = plan_labels(
        pairs, _constitution(), engine, params, 3, ShardParams(prompts=9, max_quarantined=0.0), "helpfulness"
    )
    (shard,) = plan.shards.values()
    pd.testing.assert_frame_equal(shard.make().rows, labels)


def test_a_constitution_without_them_is_refused() -> None:
    params = LabelParams(both_orders=True, few_shots=0)
    with pytest.raises(ValueError, match=NO_HELPFULNESS[:60].replace("(", r"\(")):
        label_pairs(pair_table([("a", "b")]), constitution(), ScriptedEngine(), params, 3, "helpfulness")
