"""The stages of SELF-ALIGN in the graph: on request, or part of the whole run, as the lineage says."""

from typing import Any

import pytest
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipeline_registry import pipelines_of
from tests.lineages import LINEAGE, lineage
from tests.pipelines.builders import AXES

POLICIES = ("self_align_engraved", "self_align_verbose", "rl_cai_from_engraved")
STAGES = {"self_alignment", "engraving", "cloning"}


def graph(known: Lineage) -> dict[str, Pipeline]:
    return pipelines_of(known, Exam(axes=AXES))


def policies(**entries: Any) -> Lineage:
    return lineage({"policies": entries})


ENABLED = policies(**{name: {"enabled": True} for name in POLICIES})


def boxes(pipeline: Pipeline) -> set[str]:
    return {str(node.namespace) for node in pipeline.nodes}


def test_it_runs_on_request_and_changes_nothing_else() -> None:
    pipelines = graph(LINEAGE)
    assert boxes(pipelines["self_align"]) >= STAGES
    assert not STAGES & boxes(pipelines["__default__"])
    assert not {name for name in pipelines["__default__"].datasets() if "self_align" in name}
    made = pipelines["self_align"].all_outputs()
    assert {"self_align_engraved.model@checkpoint", "self_align_verbose.model@checkpoint"} <= made
    assert not {*POLICIES} & {*LINEAGE.evaluated}


def test_enabled_policies_join_the_evaluation_by_their_entries_alone() -> None:
    pipelines = graph(ENABLED)
    default = pipelines["__default__"]
    assert boxes(default) >= STAGES
    assert {f"{name}_eval_responses" for name in POLICIES} <= default.all_outputs()
    (gather,) = [node for node in default.nodes if node.name == "evaluation.gather_responses"]
    assert {f"{name}_eval_responses" for name in POLICIES} <= {*gather.inputs}
    (mix,) = [node for node in default.nodes if node.name == "rl_cai_from_engraved.mix_comparisons"]
    assert "ai_comparisons" in mix.inputs
    (reinforce,) = [node for node in default.nodes if node.name == "rl_cai_from_engraved.reinforce"]
    assert "self_align_engraved.model@checkpoint" in reinforce.inputs
    assert ENABLED.compared_with("rl_cai_from_engraved") == "rl_cai"
    assert (ENABLED.headline, ENABLED.baselines) == (LINEAGE.headline, LINEAGE.baselines)
    given = {name.partition("@")[0] for name in default.inputs()} & {f"{name}.model" for name in POLICIES}
    assert not given


def test_a_policy_that_is_null_has_no_stage() -> None:
    assert "cloning" not in boxes(graph(policies(self_align_verbose=None))["self_align"])
    none = graph(policies(self_align_engraved=None, self_align_verbose=None))["self_align"]
    assert not STAGES & boxes(none)
    alone = graph(policies(self_align_engraved=None))["self_align"]
    assert "cloning" not in boxes(alone), "it has no teacher"


def test_a_given_engraved_model_is_a_teacher_and_is_not_trained() -> None:
    given = policies(self_align_engraved={"enabled": True, "given": "models/mine"})
    pipeline = graph(given)["__default__"]
    assert not {"self_alignment", "engraving"} & boxes(pipeline)
    (teacher,) = [node for node in pipeline.nodes if node.name == "cloning.answer_verbosely"]
    assert "self_align_engraved.model@engine" in teacher.inputs


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            {"self_align_engraved": None, "self_align_verbose": {"enabled": True}},
            "learns by cloning from the policy",
        ),
        (
            {"again": {"start": "sl_cai", "algorithm": "engraving"}},
            "one policy learns by engraving, not 2: ",
        ),
        (
            {"self_align_engraved": {"enabled": True, "comparisons": ["ai"]}},
            "learns by engraving, from answers under rules; take its comparisons away",
        ),
        ({"self_align_verbose": {"enabled": True, "reward": "judge"}}, "by cloning, from verbose answers, and has no"),
        (
            {"rl_cai_from_engraved": {"enabled": True}},
            "starts from 'self_align_engraved', which is not in this run; set .*engraved.enabled",
        ),
    ],
)
def test_entries_that_do_not_fit_are_refused(entries: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        policies(**entries)
