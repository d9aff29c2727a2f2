"""Policy against preference model: our PPO and TRL's trainers behind one call, and what it refuses."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from cai_kedro.core.conversation import as_prompt, user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses
from cai_kedro.learning.rewards import pm_scorer
from cai_kedro.learning.rollouts import EncodedPrompts
from tests.learning.rl.test_ppo import curve, prompt_table, settings, settings_of, train_against


@pytest.fixture
def tiny_pm(tiny_lm: LanguageModel) -> LanguageModel:
    config = LlamaConfig(**{**tiny_lm.model.config.to_dict(), "num_labels": 1, "tie_word_embeddings": False})
    torch.manual_seed(1)
    model = LlamaForSequenceClassification(config).eval()
    model.model.load_state_dict(tiny_lm.model.model.state_dict())
    return LanguageModel(model, tiny_lm.tokenizer)


def test_the_scorer_reads_what_score_responses_reads(tiny_pm: LanguageModel) -> None:
    tokenizer, messages = tiny_pm.tokenizer, list(prompt_table(2)["messages"])
    prompts = [[tokenizer.bos_token_id, *tokenizer(as_prompt(cell))["input_ids"]] for cell in messages]
    replies = [[*tokenizer(f" {text}")["input_ids"], tokenizer.eos_token_id] for text in ("yes", "not at all")]
    expected = score_responses(tiny_pm, messages, ["yes", "not at all"], batch_size=1)
    asked = EncodedPrompts(["p0", "p1"], ["", ""], prompts)
    assert pm_scorer(tiny_pm, 1000).score(asked, replies).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_ppo_trains_against_the_preference_model_and_resumes(
    tiny_lm: LanguageModel, tiny_pm: LanguageModel, tmp_path: Path
) -> None:
    pm_before = copy.deepcopy(tiny_pm.model.state_dict())
    params = settings(rollouts=2, snapshot_every=1, checkpoints={"directory": str(tmp_path), "seconds": 0})
    start = LanguageModel(copy.deepcopy(tiny_lm.model), tiny_lm.tokenizer)
    result = train_against(tiny_lm, tiny_pm, prompt_table(), params, seed=1)
    assert list(result.snapshots) == [1, 2]
    assert result.policy.tokenizer is tiny_lm.tokenizer
    assert all(torch.equal(weight, pm_before[name]) for name, weight in tiny_pm.model.state_dict().items())
    assert len(list(tmp_path.iterdir())) == 1  # the run has a directory of its own

    again = train_against(start, tiny_pm, prompt_table(), params, seed=1)  # nothing is left to do
    for name, weight in result.policy.model.state_dict().items():
        assert torch.equal(weight, again.policy.model.state_dict()[name])
    pd.testing.assert_frame_equal(result.curves, again.curves, check_exact=True)


HOLDER = """
import sys
from pathlib import Path
from cai_kedro.core.lock import locked
with locked(Path(sys.argv[1]), "the policy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_do_not_write_the_same_checkpoints(
    tiny_lm: LanguageModel, tiny_pm: LanguageModel, tmp_path: Path
) -> None:
    params = settings(rollouts=1, checkpoints={"directory": str(tmp_path), "seconds": 0})
    start = copy.deepcopy(tiny_lm.model)
    train_against(tiny_lm, tiny_pm, prompt_table(), params, seed=1)
    (run_dir,) = tmp_path.iterdir()
    command = [sys.executable, "-c", HOLDER, str(run_dir / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = f"the training with checkpoints in .* is being made by another run, process {holder.pid} on "
        with pytest.raises(ValueError, match=told):
            train_against(LanguageModel(start, tiny_lm.tokenizer), tiny_pm, prompt_table(), params, seed=1)
        holder.communicate("")


def test_bfloat16_products_keep_float32_weights(tiny_lm: LanguageModel, tiny_pm: LanguageModel) -> None:
    result = train_against(tiny_lm, tiny_pm, prompt_table(), settings(rollouts=1, dtype="bfloat16"), seed=1)
    assert result.policy.model.dtype == torch.float32
    assert curve(result, "kl") == pytest.approx([0.0], abs=1e-6)
    assert curve(result, "approximate_kl")[0] >= 0


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_trl_trainers_run_on_the_same_data(
    algorithm: str, tiny_lm: LanguageModel, tiny_pm: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    start = copy.deepcopy(tiny_lm.model.state_dict())
    own = set(vars(tiny_lm.model))
    params = settings_of(algorithm, rollouts=2, ppo_epochs=1, snapshot_every=1, learning_rate=1e-2)
    prompts = prompt_table()
    prompts.at[3, "messages"] = [user("<eos>")]  # text, in TRL's hands, too
    result = train_against(tiny_lm, tiny_pm, prompts, params, seed=1)
    final = result.policy.model.state_dict()
    assert not torch.equal(final["model.norm.weight"], start["model.norm.weight"])
    assert torch.equal(result.snapshots[2].model.state_dict()["model.norm.weight"], final["model.norm.weight"])
    assert list(result.snapshots) == [1, 2]
    assert {"pm_score", "reward", "kl", "entropy", "response_length", "eos_rate", "reward_scale"} <= set(
        result.curves["metric"]
    )
    assert sorted(set(result.curves["step"])) == [1, 2]
    assert set(vars(result.policy.model)) == own  # no patched forward is left
    assert capsys.readouterr().out == ""


def test_a_policy_and_a_model_of_other_tokens_do_not_go_together(
    tiny_lm: LanguageModel, tiny_pm: LanguageModel
) -> None:
    other = copy.deepcopy(tiny_pm.tokenizer)
    other.add_tokens(["novel"])
    with pytest.raises(ValueError, match="different tokenizers"):
        train_against(tiny_lm, LanguageModel(tiny_pm.model, other), prompt_table(), settings(), seed=1)


@pytest.mark.parametrize(
    ("prompts", "changed", "message"),
    [
        (prompt_table(0), {}, "0 came"),
        (prompt_table(3), {}, "prompts_per_rollout=4, but there are only 3 prompts"),
        (prompt_table(), {"max_new_tokens": 1010}, "none of them has at most 13 tokens"),
    ],
)
def test_prompts_that_make_no_rollout_are_refused(
    tiny_lm: LanguageModel, tiny_pm: LanguageModel, prompts: pd.DataFrame, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_against(tiny_lm, tiny_pm, prompts, settings(**changed), seed=1)
