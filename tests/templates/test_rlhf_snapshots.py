"""Which policy an arm publishes, and who is not asked."""

import pandas as pd
import pytest

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.templates.rlhf import create_pipeline
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from cai_kedro.templates.rlhf.snapshots import keep_snapshot

N = 30


def signals(scores: dict[int, float], kl: dict[int, float]) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {
                "step": step,
                "prompt_id": [f"p{i}" for i in range(N)],
                "response": [f"loaf{i} of bread" for i in range(N)],
                "tokens": 3,
                "ended": 1.0,
                "pm_score": score,
                "kl": kl.get(step, 0.0),
            }
        )
        for step, score in scores.items()
    ]
    return pd.concat(tables)


def kept(tiny_lm: LanguageModel, params: RLHFParams, differences: dict, **of: dict) -> tuple[int, pd.DataFrame]:
    policies = {step: LanguageModel(tiny_lm.model, tiny_lm.tokenizer) for step in of["scores"]}
    snapshots = {step: policy for step, policy in policies.items() if step}
    arm = ArmParams(name="rl_cai", algorithm="ppo", differences={"snapshots": differences})
    policy, choice = keep_snapshot(policies[0], snapshots, signals(**of), params, arm, 1)
    (step,) = [step for step, snapshot in policies.items() if snapshot is policy]
    return step, choice


SCORES = {0: 0.0, 10: 1.0, 20: 3.0, 30: 2.0}


def test_the_best_snapshot_is_published_not_the_last(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="cai_kedro"):
        step, choice = kept(tiny_lm, rlhf_params, {}, scores=SCORES, kl={})
    assert step == 20
    assert choice[choice["kept"]]["step"].tolist() == [20]
    assert "rl_cai: the policy after step 20 of 30; kept: the best score within the limits" in caplog.text


def test_an_arm_may_have_a_limit_of_its_own(tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    of = {"scores": SCORES, "kl": {20: 4.0}}
    assert kept(tiny_lm, rlhf_params, {}, **of)[0] == 20
    assert kept(tiny_lm, rlhf_params, {"max_kl": 3.0}, **of)[0] == 30


def test_the_start_policy_may_win_and_that_is_said(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture
) -> None:
    step, choice = kept(tiny_lm, rlhf_params, {}, scores={0: 0.636, 15: 0.633, 30: 0.5}, kl={})
    assert step == 0
    assert choice[choice["kept"]]["step"].tolist() == [0]
    assert "rl_cai: training brought no clearly better policy, so the start policy is kept as it was" in caplog.text
    assert kept(tiny_lm, rlhf_params, {"keep": "last"}, scores={0: 0.636, 15: 0.633, 30: 0.5}, kl={})[0] == 30


@pytest.mark.parametrize("keep", ["best", "last"])
def test_without_rl_the_start_policy_is_kept_and_nothing_more_is_said(
    keep: str, tiny_lm: LanguageModel, rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture
) -> None:
    step, choice = kept(tiny_lm, rlhf_params, {"keep": keep}, scores={0: 0.636}, kl={})
    assert step == 0
    assert choice["why"].tolist() == ["start policy; kept, as there was no training"]
    assert caplog.messages == [], "the gate has said it"


def test_the_last_one_on_request(tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    step, choice = kept(tiny_lm, rlhf_params, {"keep": "last"}, scores=SCORES, kl={})
    assert step == 30
    assert choice["why"].tolist()[-1] == "kept: rlhf.snapshots.keep is last"
    assert choice["kept"].sum() == 1


def test_a_collapse_is_a_warning_and_costs_the_snapshot(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, caplog: pytest.LogCaptureFixture
) -> None:
    policies = {step: LanguageModel(tiny_lm.model, tiny_lm.tokenizer) for step in SCORES}
    told = signals(SCORES, {})
    told.loc[told["step"] == 20, "response"] = "I am fine."
    arm = ArmParams(name="rl_cai", algorithm="ppo", differences={})
    policy, choice = keep_snapshot(policies[0], policies, told, rlhf_params, arm, 1)
    assert policy is policies[30]
    assert "rl_cai has collapsed in 1 of 3 snapshots, they are not kept: step 20 (" in caplog.text
    last = arm.model_copy(update={"differences": {"snapshots": {"keep": "last"}}})
    told.loc[told["step"] == 30, "response"] = "I am fine."
    policy, choice = keep_snapshot(policies[0], policies, told, rlhf_params, last, 1)
    assert policy is policies[30]
    assert choice["why"].tolist()[-1].startswith("kept: rlhf.snapshots.keep is last; replies with the same first 8")
    assert "one of them is kept all the same" in caplog.text


def test_nobody_who_knows_the_truth_has_a_say() -> None:
    own = ArmParams(name="rl_cai", algorithm="ppo", differences={})
    prompts = {"red_team_prompts": "r", "helpful_prompts": "h"}
    arm = create_pipeline(own, base="b.model", comparisons=["c"], start="s.model", **prompts)
    parameters = {"params:rlhf", "params:seed"}
    by_name = {node.name: set(node.inputs) - parameters for node in arm.nodes}
    assert by_name["rl_cai.keep_snapshot"] == {
        "s.model@checkpoint", "rl_cai.snapshots@checkpoint", "rl_cai.snapshot_signals",
    }  # fmt: skip
    assert by_name["rl_cai.measure_snapshots"] == {
        "s.model@checkpoint", "rl_cai.snapshots@checkpoint", "rl_cai.preference.model@checkpoint", "rl_cai.rl_prompts",
    }  # fmt: skip
