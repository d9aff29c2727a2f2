"""Reinforcement learning of a policy against a preference model: our PPO, or TRL's RLOO and GRPO on the same data."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from cai_kedro.core.lock import locked
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.encoding import check_same_tokenizer
from cai_kedro.learning.ppo import Scorer, train_ppo
from cai_kedro.learning.ppo_checkpoints import run_fingerprint
from cai_kedro.learning.preference import score_token_ids
from cai_kedro.learning.rl_params import RLParams, RLResult
from cai_kedro.learning.rollouts import encode_prompts, longest_prompt
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for
from cai_kedro.learning.trl_rl import train_with_trl

__all__ = ["RLParams", "RLResult", "train_policy"]

logger = logging.getLogger(__name__)


def train_policy(
    policy: LanguageModel, preference_model: LanguageModel, prompts: pd.DataFrame, params: RLParams, seed: int
) -> RLResult:
    """Train the policy in place against the preference model (PM) on a `prompts` table; the PM stays as it is.

    The KL penalty is to the policy as it comes. With a `checkpoint_dir`, PPO continues an interrupted run of the same
    models, prompts, parameters and seed, and ends where it would have ended.

    Raises `ValueError` when policy and PM do not share a tokenizer, when the prompts are none, too few for a rollout or
    all too long, when another process writes the same checkpoints, or at the first number that is not finite.
    """
    check_same_tokenizer(policy, preference_model)
    seed = derive_seed(seed, "reinforcement learning")
    longest = longest_prompt(params.max_new_tokens, policy.model, preference_model.model)
    encoded = encode_prompts(prompts, policy, longest)
    if params.prompts_per_rollout > len(encoded):
        raise ValueError(
            f"prompts_per_rollout={params.prompts_per_rollout}, but there are only {len(encoded)} prompts; lower it or "
            "add prompts"
        )
    with ExitStack() as loan:
        loan.enter_context(on_loan(preference_model.model, attention_for(params.device)))
        preference_model.model.to(torch.device(params.device))  # type: ignore[arg-type]
        score = pm_scorer(preference_model, params.max_batch_tokens)
        if params.algorithm == "ppo":
            run_dir = None
            if params.checkpoint_dir is not None:
                models = (policy.model, preference_model.model)
                run_dir = Path(params.checkpoint_dir) / run_fingerprint(models, encoded.token_ids, params, seed)
                loan.enter_context(locked(run_dir / "lock", f"the policy with checkpoints in {run_dir}"))
            return train_ppo(policy, score, encoded, params, seed, run_dir)
        return train_with_trl(policy, score, encoded, params, seed)


def pm_scorer(preference_model: LanguageModel, max_batch_tokens: int) -> Scorer:
    """Return a scorer that has the PM read exactly the token ids the policy wrote: prompt, reply, EOS."""

    def score(prompts: Sequence[list[int]], replies: Sequence[list[int]]) -> Tensor:
        sequences = [prompt + reply for prompt, reply in zip(prompts, replies, strict=True)]
        batch_size = max(1, max_batch_tokens // max(map(len, sequences)))
        pad = preference_model.tokenizer.pad_token_id
        return torch.as_tensor(score_token_ids(preference_model.model, sequences, pad, batch_size))

    return score
