"""What can be seen of the policies along an RL run without knowing the truth: replies, scores, drift (§4.3)."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from cai_kedro.core.schemas import check_table
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.sampling import evaluating
from cai_kedro.learning.encoding import check_same_tokenizer
from cai_kedro.learning.replies import ReplyReader
from cai_kedro.learning.rewards import pm_scorer
from cai_kedro.learning.rl.ppo_math import sequence_kl
from cai_kedro.learning.rl_params import AlgorithmParams
from cai_kedro.learning.rollouts import EncodedPrompts, Episodes, encode_prompts, longest_prompt
from cai_kedro.learning.training_arguments import chunk_tokens
from cai_kedro.learning.value_head import reply_logprobs
from cai_kedro.learning.vllm_replies import reply_reader

_COLUMNS = ["step", "prompt_id", "response", "tokens", "ended", "pm_score", "kl"]


def snapshot_signals(
    start: LanguageModel,
    snapshots: Mapping[int, LanguageModel],
    preference_model: LanguageModel | None,
    prompts: pd.DataFrame,
    params: AlgorithmParams,
    seed: int,
) -> pd.DataFrame:
    """Have every snapshot answer the same prompts once, with the same random numbers (`prompts` → `signals`).

    Step 0 is the start policy. Replies are drawn as in RL. `response` is what people read of one, up to a stop string,
    and `pm_score`, in the preference model's log-odds units, is that of what they read; NaN without one.
    `ended` is 1 where a reply ends
    by itself, and neither on somebody else's turn nor at the token limit. The rest is about all that was written:
    `tokens`, and `kl`, the log-probability ratio to the start policy in nats, whose mean is the KL divergence.
    """
    models = [start, *([preference_model] if preference_model else [])]
    check_same_tokenizer(start, models[-1])
    longest = longest_prompt(params.max_new_tokens, *(lm.model for lm in models))
    if params.sampler is not None:
        longest = min(longest, params.sampler.max_model_len - params.max_new_tokens)
    encoded = encode_prompts(prompts, start, longest)
    device = torch.device(params.device)
    for lm in models:
        lm.model.to(device)  # type: ignore[arg-type]
    tables = []
    with reply_reader(start, params) as reader:
        for step in (0, *snapshots):
            policy = snapshots[step] if step else start
            policy.model.to(device)  # type: ignore[arg-type]
            tables.append(_signals(step, policy, start, preference_model, encoded, reader, params, seed))
    return check_table("signals", pd.concat(tables, ignore_index=True))


def _signals(
    step: int,
    policy: LanguageModel,
    start: LanguageModel,
    preference_model: LanguageModel | None,
    prompts: EncodedPrompts,
    reader: ReplyReader,
    params: AlgorithmParams,
    seed: int,
) -> pd.DataFrame:
    seeds = [derive_seed(seed, "snapshots", prompt_id) for prompt_id in prompts.prompt_ids]
    replies = reader.sample(policy.model, prompts.token_ids, seeds, params)
    scores = torch.full((len(prompts),), torch.nan)
    if preference_model is not None:
        scores = pm_scorer(preference_model, params.max_batch_tokens).score(prompts, replies.read)
    return pd.DataFrame(
        {
            "step": step,
            "prompt_id": prompts.prompt_ids,
            "response": reader.texts(replies.read),
            "tokens": [len(reply) for reply in replies.written],
            "ended": replies.ended.double().numpy(),
            "pm_score": scores.double().numpy(),
            "kl": _log_ratios(policy, start, prompts.token_ids, replies.written, params).double().numpy(),
        },
        columns=_COLUMNS,
    )


def _log_ratios(
    policy: LanguageModel,
    start: LanguageModel,
    prompts: Sequence[list[int]],
    replies: Sequence[list[int]],
    params: AlgorithmParams,
) -> Tensor:
    """Return log policy - log start of each reply: (n,) on the CPU."""
    episodes = Episodes.of(prompts, replies, policy.tokenizer.pad_token_id, policy.model.device)
    batch_tokens = min(params.max_batch_tokens, chunk_tokens(params.device))

    def reader(**batch: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            reply_logprobs(model, **batch, temperature=params.temperature) for model in (policy.model, start.model)
        )

    with evaluating(policy.model), evaluating(start.model):
        found = episodes.read(reader, batch_tokens)
    return sequence_kl(found[0], found[1], episodes.mask).cpu()
