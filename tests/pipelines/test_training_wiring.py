"""The pipelines from the given prompts to the RL policies fit together, and their parameters are valid."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.pipeline import Pipeline
from kedro.validation.parameter_validator import ParameterValidator

from cai_kedro.core.schemas import SCHEMAS
from cai_kedro.pipelines import baselines, data_generation, preference_labeling, rl_cai, sl_cai
from tests.lineages import LINEAGE
from tests.pipelines.builders import AXES

CONF = Path(__file__).parents[2] / "conf"
STAGES = {
    "baselines": baselines.create_pipeline(LINEAGE),
    "data_generation": data_generation.create_pipeline(LINEAGE, AXES),
    "sl_cai": sl_cai.create_pipeline(LINEAGE),
    "preference_labeling": preference_labeling.create_pipeline(LINEAGE),
    "rl_cai": rl_cai.create_pipeline(LINEAGE),
}
GIVEN = {
    "given_red_team_prompts",
    "given_helpful_prompts",
    "eval_red_team_prompts",
    "eval_helpful_prompts",
    "held_out_phrases",
    "constitution",
    "human_raters",
    "pretrained.model",
}


def names(datasets: set[str]) -> set[str]:
    return {name.split("@")[0] for name in datasets if not name.startswith("params:")}


def tables() -> Iterator[str]:
    everything = sum(STAGES.values(), start=Pipeline([]))
    return (name for name in names(everything.all_outputs()) if not name.endswith((".model", ".snapshots", "_metrics")))


def test_a_stage_needs_only_what_is_given_or_comes_from_a_stage_before() -> None:
    there = set(GIVEN)
    for stage, pipeline in STAGES.items():
        missing = names(pipeline.inputs()) - there
        assert not missing, f"{stage} needs {missing}"
        there |= names(pipeline.all_outputs())


def test_every_table_ends_on_its_kind() -> None:
    for name in tables():
        assert name.rpartition("_")[2] in (*SCHEMAS, "choice") or name in SCHEMAS, name


def test_nothing_is_made_in_vain() -> None:
    everything = sum(STAGES.values(), start=Pipeline([]))
    left = {name.rpartition(".")[2] for name in names(everything.outputs())}
    curves = {"training_curves", "preference_curves", "policy_curves"}
    assert left == {"direct_revisions", "model", "snapshot_choice", *curves}


@pytest.mark.parametrize("stage", STAGES)
def test_nodes_stand_under_their_stage(stage: str) -> None:
    arms = {"baselines": {"helpful_rlhf", "hh_rlhf"}, "rl_cai": {"rl_cai_cot"}}
    assert {node.namespace for node in STAGES[stage].nodes} == {stage} | arms.get(stage, set())


def test_the_supervised_stage_starts_from_the_pretrained_model() -> None:
    (training,) = [node for node in STAGES["sl_cai"].nodes if "fine_tune" in node.name]
    assert "pretrained.model@checkpoint" in training.inputs


@pytest.mark.parametrize(
    ("arm", "start"),
    [
        ("helpful_rlhf", "pretrained.model@checkpoint"),
        ("hh_rlhf", "pretrained.model@checkpoint"),
        ("rl_cai", "sl_cai.model@checkpoint"),
        ("rl_cai_cot", "sl_cai.model@checkpoint"),
    ],
)
def test_where_rl_starts(arm: str, start: str) -> None:
    stage = STAGES["baselines" if arm.endswith("rlhf") else "rl_cai"]
    (training,) = [node for node in stage.nodes if node.name == f"{arm}.reinforce"]
    assert training.inputs[0] == start
    assert training.inputs[1] == f"{arm}.preference.model@checkpoint"


def test_the_parameters_of_the_base_environment_are_valid() -> None:
    loader = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="base")
    parameters = ParameterValidator(STAGES).validate_raw_params(loader["parameters"])
    wanted = {name for pipeline in STAGES.values() for name in pipeline.inputs() if name.startswith("params:")}
    for name in wanted:
        value: object = parameters
        for part in name.removeprefix("params:").split("."):
            assert isinstance(value, dict) and part in value, name  # noqa: PT018
            value = value[part]
