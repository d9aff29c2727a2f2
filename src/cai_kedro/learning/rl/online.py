"""What every algorithm needs that learns from its own replies: encoded prompts, who scores, a place for checkpoints."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder, run_folder
from cai_kedro.learning.encoding import check_same_tokenizer
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.rewards import Scorer, pm_on_loan, text_scorer
from cai_kedro.learning.rl_params import Data, RolloutParams
from cai_kedro.learning.rollouts import EncodedPrompts, encode_prompts, longest_prompt


@contextmanager
def prompts_and_scorer(
    policy: LanguageModel, data: Data, params: RolloutParams
) -> Iterator[tuple[EncodedPrompts, Scorer]]:
    """Encode the prompts that leave room for a reply, and lend the preference model, if it scores, to a training.

    Raises `ValueError` when policy and preference model do not share a tokenizer, or when the prompts are none, too few
    for a rollout or all too long.
    """
    pm, reward, prompts = data.preference_model, data.reward, data.prompts
    if prompts is None or (pm is None) == (reward is None):
        raise ValueError(
            f"{params.algorithm} learns from prompts and one who scores replies, a preference model or a reward, and "
            f"was not given these"
        )
    read_by = [policy]
    if pm is not None:
        check_same_tokenizer(policy, pm)
        read_by.append(pm)
    longest = longest_prompt(params.max_new_tokens, *(lm.model for lm in read_by))
    if params.sampler is not None:
        longest = min(longest, params.sampler.max_model_len - params.max_new_tokens)
    encoded = encode_prompts(prompts, policy, longest)
    if params.prompts_per_rollout > len(encoded):
        raise ValueError(
            f"prompts_per_rollout={params.prompts_per_rollout}, but there are only {len(encoded)} prompts; lower it or "
            "add prompts"
        )
    if reward is not None:
        yield encoded, text_scorer(reward, policy)
    if pm is None:
        return
    with pm_on_loan(policy, pm, params) as scorer:
        yield encoded, scorer


@contextmanager
def training_on_replies(
    start: LanguageModel, data: Data, params: RolloutParams, seed: int, processes: Processes = ALONE
) -> Iterator[tuple[EncodedPrompts, Scorer, RunFolder | None]]:
    """Lend a training what it needs: prompts, who scores, and the folder of its checkpoints, None where it has none.

    Raises `ValueError` as `prompts_and_scorer` and `run_folder` do.
    """
    with prompts_and_scorer(start, data, params) as (encoded, score):
        models = [start, *([data.preference_model] if data.preference_model else [])]
        learnt = [encoded.prompt_ids, encoded.token_ids, *([data.reward.fingerprint] if data.reward else [])]
        with run_folder(params.algorithm.upper(), params, models, learnt, seed, processes) as folder:
            yield encoded, score, folder


def one_rollout(params: RolloutParams, prompts: int) -> dict[str, Any]:
    """Return what differs in a training of one rollout of at most so many prompts, in minibatches of equal size."""
    asked = min(params.prompts_per_rollout, prompts)
    minibatch = math.gcd(params.minibatch_size, asked * params.samples_per_prompt)
    return {
        "rollouts": 1,
        "warmup_rollouts": 0,
        "prompts_per_rollout": asked,
        "minibatch_size": minibatch,
        "device_batch_size": math.gcd(params.rows_at_once, minibatch),
        "checkpoints": None,
    }
