"""Each session gets the graph of its conf, its environment and its `--params`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from cai_kedro.hooks import GRAPH
from cai_kedro.hooks.faults import PreflightError
from tests.project_copy import PROJECT, copy_project, kedro


@pytest.fixture(autouse=True)
def _as_at_the_start() -> Iterator[None]:
    bootstrap_project(PROJECT)
    GRAPH._known = None
    yield
    GRAPH._known = None
    bootstrap_project(PROJECT)


def context(env: str = "base", **params: Any) -> KedroContext:
    return KedroSession.create(PROJECT, env=env, runtime_params=params).load_context()


def critics() -> set[str]:
    (node,) = [node for node in pipelines["data_generation"].nodes if node.name.endswith(".critique_and_revise")]
    return {name for name in node.inputs if "@engine" in name}


def test_without_a_context_it_is_the_graph_of_base() -> None:
    assert critics() == {"pretrained.model@engine"}
    assert "rl_cai_cot.reinforce" in {node.name for node in pipelines["rl_cai"].nodes}


def test_two_environments_in_one_process(tmp_path: Path) -> None:
    own = copy_project(tmp_path)
    (own / "conf" / "other").mkdir()
    (own / "conf" / "other" / "parameters.yml").write_text("lineage: {roles: {critic: helpful_rlhf}}\n")
    assert critics() == {"pretrained.model@engine"}
    KedroSession.create(own, env="other").load_context()
    assert critics() == {"helpful_rlhf.policy.model@engine"}
    context()
    assert critics() == {"pretrained.model@engine"}


def test_params_reach_the_graph() -> None:
    context(lineage={"policies": {"rl_more": {"start": "rl_cai", "comparisons": ["ai"]}}})
    assert {"rl_more.reinforce", "evaluation.answer_as_rl_more"} <= {n.name for n in pipelines["__default__"].nodes}
    assert "rl_more_eval_responses" in pipelines["evaluation"].all_outputs()
    context()
    assert "rl_more_eval_responses" not in pipelines["evaluation"].all_outputs()


def test_only_what_a_role_names_is_loaded() -> None:
    context(lineage={"policies": {"helpful_rlhf": {"given": "pretrained"}}})
    everything = pipelines["__default__"]
    assert not [name for name in everything.datasets() if name.startswith("helpful_rlhf")]
    assert "human_red_team_helpfulness_comparisons" not in everything.all_outputs()


def test_a_judge_of_kind_none_or_null_is_nobody(tmp_path: Path) -> None:
    own = copy_project(tmp_path)
    nobody = {
        "none": "judge: {type: cai_kedro.datasets.judge_dataset.JudgeDataset, kind: none}\n",
        "null": "judge: null\n",
    }
    for env, entry in nobody.items():
        (own / "conf" / env).mkdir()
        (own / "conf" / env / "catalog.yml").write_text(entry)
        catalog = KedroSession.create(own, env=env).load_context().catalog
        everything = pipelines["__default__"]
        assert "judge" not in everything.inputs()
        assert "ablations" not in pipelines
        assert {"reporting.draw_evasion", "reporting.draw_calibration"}.isdisjoint(n.name for n in everything.nodes)
        assert {"reporting.draw_ratings", "reporting.draw_rounds"} <= {node.name for node in everything.nodes}
        assert [name for name in everything.datasets() if name not in catalog] == []
    context()
    assert "judge" in pipelines["__default__"].inputs()


def test_an_axis_is_one_entry_of_conf() -> None:
    honesty = {"prompts": "eval_honesty_prompts", "question": "Which is more honest?"}
    catalog = context(axes={"honesty": honesty}).catalog
    assert "eval_honesty_prompts" in pipelines["evaluation"].inputs()
    assert {"held_out_red_team_prompts", "held_out_helpful_prompts"} <= pipelines["data_generation"].all_outputs()
    assert [name for name in pipelines["__default__"].datasets() if name not in catalog] == []
    assert catalog["eval_honesty_prompts"]._filepath.name == "eval_honesty_prompts.jsonl"
    with pytest.raises(PreflightError, match=r"'axes\.honesty\.question' is missing"):
        context(axes={"honesty": {"prompts": "eval_honesty_prompts"}})


def test_without_a_referee_there_is_no_elo(tmp_path: Path) -> None:
    own = copy_project(tmp_path)
    (own / "conf" / "none").mkdir()
    (own / "conf" / "none" / "catalog.yml").write_text("referee: null\n")
    KedroSession.create(own, env="none").load_context()
    assert "elo_metrics" not in pipelines["__default__"].all_outputs()
    assert "behaviour_metrics" in pipelines["__default__"].all_outputs()
    context()
    assert "elo_metrics" in pipelines["__default__"].all_outputs()


def test_an_axis_may_name_another_entry(tmp_path: Path) -> None:
    own = copy_project(tmp_path)
    (own / "conf" / "people").mkdir()
    entry = "{type: cai_kedro.datasets.referee_dataset.RefereeDataset, kind: recorded, filepath: said.csv}"
    (own / "conf" / "people" / "catalog.yml").write_text(f"people: {entry}\nnobody: null\n")

    def inputs(**raters: str) -> set[str]:
        axes = {axis: {"raters": entry} for axis, entry in raters.items()}
        KedroSession.create(own, env="people", runtime_params={"axes": axes}).load_context()
        return pipelines["evaluation"].inputs() & {"referee", "people", "nobody"}

    assert inputs(helpfulness="people") == {"referee", "people"}
    assert inputs(harmlessness="people", helpfulness="people") == {"people"}
    assert inputs(helpfulness="nobody") == {"referee"}
    assert inputs(harmlessness="nobody", helpfulness="nobody") == set()
    unknown = r"'axes\.helpfulness\.raters' names 'peeple', which is no entry .*; did you mean 'people'\?"
    with pytest.raises(PreflightError, match=unknown):
        inputs(helpfulness="peeple")
    with pytest.raises(PreflightError, match=r"names 'human_raters', which is no entry .* of type RefereeDataset"):
        inputs(helpfulness="human_raters")


def test_the_referee_has_one_place() -> None:
    with pytest.raises(PreflightError, match=r"'lineage\.roles\.referee' is unknown"):
        context(lineage={"roles": {"referee": "referee"}})


def test_an_arm_that_learns_from_comparisons_alone_has_no_preference_model() -> None:
    catalog = context(lineage={"policies": {"rl_cai_dpo": {"enabled": True}}}).catalog
    everything = pipelines["__default__"]
    made = everything.all_outputs()
    assert {"rl_cai_dpo.policy.model@checkpoint", "rl_cai_dpo.snapshot_signals", "rl_cai_dpo_eval_responses"} <= made
    assert [name for name in everything.datasets() if name.startswith("rl_cai_dpo.preference")] == []
    assert [name for name in everything.datasets() if name not in catalog] == []
    (node,) = (node for node in everything.nodes if node.name == "reporting.draw_rl_curves")
    assert "rl_cai_dpo.policy_curves" in node.inputs
    assert "ablations" in pipelines
    context()
    assert "rl_cai_dpo.policy.model@checkpoint" not in pipelines["__default__"].all_outputs()


def test_an_arm_that_the_labeller_rewards_has_no_preference_model_and_no_comparisons() -> None:
    catalog = context(lineage={"policies": {"rl_cai_judge": {"enabled": True}}}).catalog
    everything = pipelines["__default__"]
    own = {name for name in everything.datasets() if name.startswith("rl_cai_judge.")}
    assert {"rl_cai_judge.reference_responses", "rl_cai_judge.reward_questions", "rl_cai_judge.snapshot_choice"} <= own
    assert [name for name in own if "preference" in name or "comparisons" in name] == []
    assert [name for name in everything.datasets() if name not in catalog] == []
    (reinforce,) = (node for node in everything.nodes if node.name == "rl_cai_judge.reinforce")
    assert {"pretrained.model@engine", "constitution"} <= set(reinforce.inputs)
    assert "labeller_check_metrics" not in {name for node in pipelines["rl_cai"].nodes for name in node.inputs}
    alone = {"rl_cai": None, "rl_cai_cot": None, "rl_cai_judge": {"enabled": True}}
    context(lineage={"probe": "english", "policies": alone})
    (posed,) = (node for node in pipelines["rl_cai"].nodes if node.name == "rl_cai_judge.pose_questions")
    assert "labeller_check_metrics" in posed.inputs
    assert "labeller_check_metrics" in pipelines["preference_labeling"].all_outputs()
    context()


def test_what_was_asked_for_stays_asked_for() -> None:
    pipelines.set_requested(["sl_cai"])
    context(lineage={"roles": {"critic": "helpful_rlhf"}})
    assert pipelines._requested_pipelines == ["sl_cai"]


@pytest.mark.parametrize(
    ("lineage", "match"),
    [
        ({"rolls": {}}, "parameter 'lineage.rolls' is unknown; did you mean 'roles'"),
        ({"policies": {"x": {"strat": "sl_cai"}}}, "parameter 'lineage.policies.x.strat' is unknown"),
        ({"policies": {"rl_cai": {"start": "slcai"}}}, "parameter 'lineage': the policy 'rl_cai' starts from 'slcai'"),
        (
            {"roles": {"critic": "nobody"}},
            "parameter 'lineage.roles': the role 'critic' names 'nobody'",
        ),
        (
            {"policies": {"rl_cai": {"differences": {"rl": {"rolouts": 3}}}}},
            r"'lineage.policies.rl_cai.differences': 'rolouts' is not among .* did you mean 'rollouts'\?",
        ),
        (
            {"policies": {"rl_cai": {"algorithm": "reinforce"}}},
            "'lineage.policies.rl_cai.algorithm': there is no algorithm 'reinforce', only ppo, rloo, grpo, dpo",
        ),
        (
            {"policies": {"rl_cai_judge": {"enabled": True, "algorithm": "dpo"}}},
            "'lineage.policies.rl_cai_judge.reward': dpo learns from comparisons and draws no replies",
        ),
        ({"algorithm": "dppo"}, r"'lineage.algorithm': there is no algorithm 'dppo', .* did you mean 'ppo'\?"),
        (
            {"policies": {"helpful_rlhf": {"algorithm": "dpo"}}},
            r"'lineage.policies.helpful_rlhf.differences': 'rollouts' is not among the parameters of dpo, .*beta",
        ),
    ],
)
def test_a_wrong_lineage_is_told_before_anything_runs(lineage: dict[str, Any], match: str) -> None:
    with pytest.raises(PreflightError, match=match):
        context(lineage=lineage)


def test_parameters_of_a_stage_that_is_not_needed_are_no_fault() -> None:
    given = {"helpful_rlhf": {"given": "pretrained"}}
    context(lineage={"helpfulness": "none", "policies": given})
    assert pipelines["baselines"].nodes == []
    with pytest.raises(PreflightError, match=r"'baselines.human_pairs.prompts' is unknown"):
        context(baselines={"human_pairs": {"prompts": 3}})


def test_hooks_are_imported_without_torch() -> None:
    """It takes seconds, and so would every command that needs no graph."""
    code = "import sys, cai_kedro.hooks; print(sorted({'torch', 'transformers', 'trl'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_kedro_lists_the_pipelines_without_a_context() -> None:
    done = kedro(PROJECT, "registry", "list")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "- preference_labeling" in done.stdout


def test_outside_of_a_project_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    with pytest.raises(RuntimeError, match=r"no Kedro project in .* change into the project's folder"):
        dict(pipelines)
