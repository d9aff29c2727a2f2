"""Log-probabilities of given continuations, read from the logits and never from sampled text (§4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.engines.batching import equal_lengths, length_sorted_batches, run_batches
from cai_kedro.engines.family_probe import batch_rules
from cai_kedro.engines.kv_cache import can_rewind
from cai_kedro.engines.reading import BatchRules, Reader, evaluating
from cai_kedro.engines.sampling import check_fits
from cai_kedro.engines.shared_prefix import SharedPrefix, own_lengths, read_prefix


def choice_token_logprobs(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    choice_ids: Sequence[Sequence[int]],
    *,
    pad_token_id: int,
    max_batch_tokens: int,
) -> np.ndarray:
    """Return the summed log-probability (nats) of every token of each choice after each prompt: (prompts, choices).

    What several prompts begin with, and what all choices begin with, is read once; what then differs is read on top of
    those keys and values, which is exact. Raises `ValueError` for an empty choice and for a prompt that does not fit,
    `OutOfMemoryError` where half a batch is too much for the memory.
    """
    if not choice_ids or not all(choice_ids):
        raise ValueError(f"every choice needs at least one token, got {[list(ids) for ids in choice_ids]}")
    longest = max(map(len, choice_ids))
    check_fits(model, prompt_ids, needed=longest)
    logprobs = np.empty((len(prompt_ids), len(choice_ids)), dtype=np.float32)
    with evaluating(model):
        rules = batch_rules(model)
        prefix = read_prefix(model, prompt_ids, own=1) if rules.prefix else None
        options = _Options(model, choice_ids, prefix, pad_token_id, max_batch_tokens, rules)

        def score(batch: list[int]) -> None:
            logprobs[batch] = options.logprobs([prompt_ids[i] for i in batch])

        costs = [length + longest for length in own_lengths(prompt_ids, prefix)]
        batches = length_sorted_batches(costs, max_batch_tokens, prompt_ids)
        run_batches(batches if rules.padding else equal_lengths(batches, costs), score, max_batch_tokens)
    return logprobs


@dataclass(frozen=True)
class _Options:
    model: PreTrainedModel
    choice_ids: Sequence[Sequence[int]]
    prefix: SharedPrefix | None
    pad: int
    max_batch_tokens: int
    rules: BatchRules

    def logprobs(self, prompt_ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the log-probabilities after a batch of prompts: (prompts, choices)."""
        shared = _common_prefix(self.choice_ids)
        rests = [ids[len(shared) :] for ids in self.choice_ids]
        room = max(map(len, rests))
        if len(rests) > 1 and room > 1 and not can_rewind(self.model):
            columns = [replace(self, choice_ids=[ids]).logprobs(prompt_ids)[:, 0] for ids in self.choice_ids]
            return np.stack(columns, axis=1)
        asked = [[*ids, *shared] for ids in prompt_ids]
        reader = Reader(
            self.model,
            asked,
            room=room,
            pad=self.pad,
            max_batch_tokens=self.max_batch_tokens,
            rules=self.rules,
            prefix=self.prefix,
        )
        logits = reader.prompts(keep=len(shared) + 1)
        of_shared = _logprob(logits[:, :-1], shared)
        sums = []
        for rest in rests:
            total = of_shared + _logprob(logits[:, -1:], rest[:1])
            if len(rest) > 1:
                read = torch.tensor(rest[:-1], device=logits.device).expand(len(prompt_ids), -1)
                total = total + _logprob(reader.read(read, keep=len(rest) - 1), rest[1:])
                reader.forget(len(rest) - 1)
            sums.append(total)
        return torch.stack(sums, dim=1).cpu().numpy()


def _common_prefix(choice_ids: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens that all choices begin with; the last token of a lone choice needs no reading."""
    if len(choice_ids) == 1:
        return list(choice_ids[0][:-1])
    shared = []
    for tokens in zip(*choice_ids, strict=False):
        if len(set(tokens)) > 1:
            break
        shared.append(tokens[0])
    return shared


def _logprob(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Sum the log-probabilities of ids[j] at position j: (rows, n, vocabulary) and n ids → (rows,), 0 for no ids."""
    if not ids:
        return logits.new_zeros(len(logits))
    wanted = torch.tensor(ids, device=logits.device).expand(len(logits), -1)[..., None]
    return torch.log_softmax(logits, dim=-1).gather(-1, wanted).sum(dim=(1, 2))
