"""An arm that the labeller rewards: references, questions, graph, and a training."""

import zlib
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from cai_kedro.core.constitution import PreferencePrinciple
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.templates import rlhf
from cai_kedro.templates.rlhf.judged import labeller_reward, plan_references, pose_questions
from cai_kedro.templates.rlhf.parameters import ArmParams, JudgeParams, RLHFParams
from cai_kedro.templates.rlhf.pipeline import Labeller
from cai_kedro.templates.rlhf.policy import reinforce_by_labeller
from tests.adapters import WHOLE
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import constitution, made_of, prompt_table

ARM = ArmParams(name="rl_cai_judge", algorithm="ppo", reward="judge", differences={})
SHARDS = ShardParams(prompts=100, max_quarantined=0.5)
PROMPTS = prompt_table([f"Question {i}?" for i in range(6)])
CONSTITUTION = constitution()


def references(prompts: pd.DataFrame, params: RLHFParams, engine: ScriptedEngine, seed: int = 0) -> pd.DataFrame:
    return made_of(plan_references(prompts, engine, params, seed, SHARDS, ARM, "sl_cai"))


def posed(table: pd.DataFrame, helpful: pd.DataFrame = PROMPTS[4:], of: Any = CONSTITUTION) -> pd.DataFrame:
    return check_table("questions", pose_questions(PROMPTS, table, helpful, of, ARM, 0))


def test_a_reference_is_the_start_policys_reply_drawn_by_the_prompt(rlhf_params: RLHFParams) -> None:
    every = references(PROMPTS, rlhf_params, ScriptedEngine())
    few = references(PROMPTS[2:4], rlhf_params, ScriptedEngine())
    pd.testing.assert_frame_equal(few, every[2:4].reset_index(drop=True))
    assert every["response"].nunique() == len(PROMPTS)
    assert set(every["policy"]) == {"sl_cai"}
    assert references(PROMPTS, rlhf_params, ScriptedEngine(), seed=1)["response"].tolist() != every["response"].tolist()


def test_a_principle_is_drawn_per_prompt(rlhf_params: RLHFParams) -> None:
    every = references(PROMPTS, rlhf_params, ScriptedEngine())
    questions = posed(every)
    assert questions["reference"].tolist() == every["response"].tolist()
    assert questions["objective"].tolist() == ["harmlessness"] * 4 + ["helpfulness"] * 2
    assert questions["principle_id"].nunique() > 1
    assert set(questions["principle_id"]) <= {"q0", "q1", "q2", "q3"}, "no helpfulness principles: the same for all"
    own = PreferencePrinciple(id="q0", title="kind", harms=(), question="Which helps?")
    with_own = CONSTITUTION.model_copy(update={"helpfulness_principles": (own,)})
    other = posed(every, of=with_own)
    assert other["principle_id"].tolist() == [*questions["principle_id"][:4], "q0", "q0"]
    cases = labeller_reward(other, with_own, ScriptedEngine(), JudgeParams(few_shots=0, max_log_odds=4.0), 0).cases
    asked = {case.question for case in list(cases.values())[4:]}
    assert asked == {"Which helps?"}, "an id is looked up among the principles of its objective"


def test_prompts_without_a_reference_are_left_out(rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture) -> None:
    table = references(PROMPTS, rlhf_params, ScriptedEngine())
    assert posed(table[1:])["prompt_id"].tolist() == list(PROMPTS["prompt_id"][1:])
    assert f"1 of 6 prompts have no reference reply, such as {PROMPTS['prompt_id'][0]!r}" in caplog.text


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo"])
def test_a_policy_learns_from_the_labeller(algorithm: str, tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    """The labeller reads the policy's replies as text, each with the reference of its own prompt, in both orders."""
    engine = ScriptedEngine(prefer=lambda prompt: (-1.0, -(zlib.crc32(prompt.encode()) % 5) / 2))
    questions = posed(references(PROMPTS, rlhf_params, ScriptedEngine()))
    arm = ARM.model_copy(update={"algorithm": algorithm})
    before = {name: weight.clone() for name, weight in tiny_lm.model.state_dict().items()}
    snapshots, curves = reinforce_by_labeller(tiny_lm, questions, CONSTITUTION, engine, rlhf_params, arm, 5, WHOLE)
    assert list(snapshots) == [1]
    assert {"judge_score", "kl"} <= set(curves["metric"])
    assert "pm_score" not in set(curves["metric"])
    assert any((before[name] != weight).any() for name, weight in tiny_lm.model.state_dict().items())
    assert engine.prompts
    for prompt in engine.prompts:
        (of,) = (row for row in questions.itertuples() if row.messages[-1]["content"] in prompt)
        assert of.reference in prompt


def test_the_graph_has_no_preference_model_gate_or_comparisons() -> None:
    def made(checked: bool) -> Any:
        return rlhf.create_pipeline(
            ARM,
            base="pretrained.model",
            comparisons=[],
            start="sl_cai.model",
            red_team_prompts="red_team_prompts",
            helpful_prompts="helpful_prompts",
            labeller=Labeller("labeller.model@engine", checked, "sl_cai"),
        )

    assert made(checked=False).inputs() == {
        "red_team_prompts",
        "helpful_prompts",
        "sl_cai.model@checkpoint",
        "sl_cai.model@engine",
        "labeller.model@engine",
        "constitution",
        "params:rlhf",
        "params:seed",
        "params:shards",
        "params:training",
    }
    assert made(checked=True).inputs() - made(checked=False).inputs() == {"labeller_check_metrics"}
    assert made(checked=False).all_outputs() == {
        f"rl_cai_judge.{name}"
        for name in (
            "rl_prompts", "reference_responses", "reward_questions", "snapshots@checkpoint", "policy_curves",
            "snapshot_signals", "snapshot_choice", "policy.model@checkpoint",
        )
    }  # fmt: skip


def test_an_algorithm_without_replies_cannot_be_rewarded() -> None:
    told = "dpo learns from comparisons and draws no replies .* take ppo, rloo, grpo, or take reward: judge away"
    with pytest.raises(ValidationError, match=told):
        ArmParams(name="x", algorithm="dpo", reward="judge", differences={})
    assert (ARM.teacher, ARM.has_preference_model) == ("judge", False)
