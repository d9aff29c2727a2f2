"""Sampling token ids from a causal LM in padded batches; every row draws from its own seed and from nothing else.

`sample_tokens` is what the engine and the RL rollouts share. One uniform per row and token picks the next token by the
inverse of the cumulative distribution, so the other rows of a batch and its order cannot change a draw. (They change
the logits in the last bits; a draw that falls that close to a border between two tokens may then differ.)
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.engines.batching import equal_lengths, length_sorted_batches, round_up, run_batches
from cai_kedro.engines.family_probe import batch_rules
from cai_kedro.engines.reading import BatchRules, Reader, context_length, evaluating
from cai_kedro.engines.shared_prefix import SharedPrefix, own_lengths, read_prefix

KEEP_ROWS = 0.75  # below this share of rows, copying those that are live pays
LARGEST_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


def uniforms(seed: int, n: int) -> np.ndarray:
    """Return the n uniforms in [0, 1) that belong to a seed; a longer draw starts with the shorter one."""
    return np.random.Generator(np.random.Philox(key=seed)).random(n)


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Set to zero all but the fewest most likely tokens that together reach `top_p`: (rows, vocabulary)."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    outside = _cumulative(ordered) - ordered >= top_p  # what comes before a token already reaches top_p
    outside[:, 0] = False
    return probabilities.masked_fill(torch.empty_like(outside).scatter_(-1, order, outside), 0.0)


def _cumulative(probabilities: Tensor) -> Tensor:
    rows = len(probabilities)
    # two rows at least: on a GPU the sums of a single row come in no fixed order
    return probabilities.expand(max(rows, 2), -1).cumsum(-1)[:rows]


def draw(logits: Tensor, u: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return one token per row: (rows, vocabulary) logits and (rows,) uniforms in [0, 1) → (rows,).

    Temperature 0 takes the most likely token. A token of probability zero is never drawn.
    """
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    if top_p < 1:
        probabilities = nucleus(probabilities, top_p)
    cumulative = _cumulative(probabilities)
    # the sum is 1 only up to rounding: scaling by it keeps u within the last token that has any probability
    target = u[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


@dataclass(frozen=True)
class _Settings:
    temperature: float
    top_p: float
    eos: frozenset[int]
    pad: int
    max_batch_tokens: int
    stop: Callable[[list[int]], bool] | None
    rules: BatchRules

    def ended(self, ids: list[int]) -> bool:
        return ids[-1] in self.eos or (self.stop is not None and self.stop(ids))


def sample_tokens(  # noqa: PLR0913 - the settings of a sampler
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    *,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seeds: Sequence[int],
    eos_token_id: int | Collection[int] | None,
    pad_token_id: int,
    max_batch_tokens: int,
    stop: Callable[[list[int]], bool] | None = None,
) -> list[list[int]]:
    """Sample a continuation of each prompt; return its ids, with the EOS if that ended it.

    A row ends at an EOS, when `stop(ids so far)` says so, after `max_new_tokens`, or when the model's context is full.
    Prompts are read as they are: add BOS before. The model's weights, mode and device are left alone; run it in a
    lower precision by `torch.autocast`. Batches hold at most `max_batch_tokens` tokens, padding and new ones included.

    What all prompts begin with is read once and does not count; what some of a batch begin with is read once.

    Raises `ValueError` for an empty prompt, for one that leaves no room for a token, and for seeds that do not fit;
    `OutOfMemoryError` where half a batch is too much for the memory.
    """
    if len(seeds) != len(prompt_ids):
        raise ValueError(f"every prompt needs a seed of its own, got {len(prompt_ids)} prompts and {len(seeds)} seeds")
    limits = _room(model, prompt_ids, max_new_tokens)
    eos = frozenset(() if eos_token_id is None else [eos_token_id] if isinstance(eos_token_id, int) else eos_token_id)
    results: list[list[int]] = [[] for _ in prompt_ids]
    with evaluating(model):
        rules = batch_rules(model)
        settings = _Settings(temperature, top_p, eos, pad_token_id, max_batch_tokens, stop, rules)
        prefix = read_prefix(model, prompt_ids, own=1) if rules.prefix else None

        def sample(batch: list[int]) -> None:
            prompts = [prompt_ids[i] for i in batch]
            room = [limits[i] for i in batch]
            sampled = _sample_batch(model, prompts, prefix, room, [seeds[i] for i in batch], settings)
            for i, ids in zip(batch, sampled, strict=True):
                results[i] = ids

        lengths = own_lengths(prompt_ids, prefix)
        costs = [length + limit for length, limit in zip(lengths, limits, strict=True)]
        # rows that the context ends earlier go by themselves: no model has positions to read them on with the others
        batches = equal_lengths(length_sorted_batches(costs, max_batch_tokens, prompt_ids), limits)
        run_batches(batches if rules.padding else equal_lengths(batches, lengths), sample, max_batch_tokens)
    return results


def check_fits(model: PreTrainedModel, prompt_ids: Sequence[Sequence[int]], needed: int) -> None:
    """Raise unless every prompt leaves room for `needed` more tokens in the context.

    `ValueError` for an empty prompt, `PromptTooLongError` with the places of all prompts that are too long.
    """
    if not all(prompt_ids):
        empty = [bool(ids) for ids in prompt_ids].index(False)
        raise ValueError(f"the prompt of row {empty} is empty and the tokenizer has no BOS token: give it some text")
    limit = context_length(model)
    too_long = [i for i, ids in enumerate(prompt_ids) if limit is not None and len(ids) + needed > limit]
    if too_long:
        raise PromptTooLongError(
            f"the prompt of row {too_long[0]} has {len(prompt_ids[too_long[0]])} tokens and needs room for {needed} "
            f"more, the model's context is {limit} tokens: shorten the conversation or use fewer few-shot examples",
            too_long,
        )


def _room(model: PreTrainedModel, prompt_ids: Sequence[Sequence[int]], max_new_tokens: int) -> list[int]:
    check_fits(model, prompt_ids, needed=1)
    limit = context_length(model)
    return [max_new_tokens if limit is None else min(max_new_tokens, limit - len(ids)) for ids in prompt_ids]


def _sample_batch(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    prefix: SharedPrefix | None,
    limits: Sequence[int],
    seeds: Sequence[int],
    settings: _Settings,
) -> list[list[int]]:
    steps = max(limits)
    budget = settings.max_batch_tokens
    rules = settings.rules
    reader = Reader(
        model, prompt_ids, room=steps, pad=settings.pad, max_batch_tokens=budget, rules=rules, prefix=prefix
    )
    drawn = np.stack([uniforms(seed, steps) for seed in seeds]).astype(np.float32).clip(max=LARGEST_BELOW_ONE)
    u = torch.from_numpy(drawn).to(model.device)
    sampled: list[list[int]] = [[] for _ in prompt_ids]
    rows = list(range(len(prompt_ids)))  # which prompt each row of the batch belongs to
    live = [True] * len(rows)
    logits = reader.prompts()
    for step in range(steps):
        tokens = draw(logits[:, -1], u[:, step], settings.temperature, settings.top_p)
        drawn_now = tokens.tolist()
        if max(drawn_now) >= logits.shape[-1]:
            raise FloatingPointError("the model's logits are not numbers (NaN): its weights have diverged")
        for place, token in enumerate(drawn_now):
            if live[place]:
                ids = sampled[rows[place]]
                ids.append(token)
                live[place] = len(ids) < limits[rows[place]] and not settings.ended(ids)
        n_live = sum(live)
        if n_live == 0:
            break
        if rules.padding and round_up(n_live) < KEEP_ROWS * len(rows):
            # the live rows, and as many others as make it a number that batches come in
            places = sorted(range(len(rows)), key=lambda place: not live[place])[: round_up(n_live)]
            kept = torch.tensor(places, device=tokens.device)
            reader.keep_rows(kept)
            tokens, u = tokens[kept], u[kept]
            rows, live = [rows[place] for place in places], [live[place] for place in places]
        logits = reader.read(tokens[:, None])
    return sampled
