"""What every algorithm needs that learns from its own replies: encoded prompts and a preference model on the device."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.encoding import check_same_tokenizer
from cai_kedro.learning.rewards import Scorer, pm_scorer
from cai_kedro.learning.rl_params import Data, RolloutParams
from cai_kedro.learning.rollouts import EncodedPrompts, encode_prompts, longest_prompt
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for


@contextmanager
def prompts_and_scorer(
    policy: LanguageModel, data: Data, params: RolloutParams
) -> Iterator[tuple[EncodedPrompts, Scorer]]:
    """Lend the preference model to a training, and encode the prompts that leave room for a reply.

    Raises `ValueError` when policy and preference model do not share a tokenizer, or when the prompts are none, too few
    for a rollout or all too long.
    """
    pm, prompts = data.preference_model, data.prompts
    if pm is None or prompts is None:
        raise ValueError(f"{params.algorithm} learns from prompts and a preference model, and was not given both")
    check_same_tokenizer(policy, pm)
    encoded = encode_prompts(prompts, policy, longest_prompt(params.max_new_tokens, policy.model, pm.model))
    if params.prompts_per_rollout > len(encoded):
        raise ValueError(
            f"prompts_per_rollout={params.prompts_per_rollout}, but there are only {len(encoded)} prompts; lower it or "
            "add prompts"
        )
    with on_loan(pm.model, attention_for(params.device)):
        pm.model.to(torch.device(params.device))  # type: ignore[arg-type]
        yield encoded, pm_scorer(pm, params.max_batch_tokens)


def one_rollout(params: RolloutParams, prompts: int) -> dict[str, int]:
    """Return what differs in a training of one rollout of at most so many prompts, in minibatches of equal size."""
    asked = min(params.prompts_per_rollout, prompts)
    minibatch = math.gcd(params.minibatch_size, asked * params.samples_per_prompt)
    return {"rollouts": 1, "warmup_rollouts": 0, "prompts_per_rollout": asked, "minibatch_size": minibatch}
