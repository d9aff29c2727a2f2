"""Replies of a policy in training: how they are drawn, where they end, and what a reader sees of them (§4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.core.prompts import STOPS
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.stopping import StopStrings, decode, token_texts
from cai_kedro.learning.rl_params import RLParams


@dataclass(frozen=True)
class Replies:
    """n replies as token ids: `written` by the policy, and `read` by people and by the preference model.

    A reply ends on EOS, on a stop string (somebody else's turn) or at the token limit. What is read has no stop string
    and always ends on EOS, where a preference model reads its score. `ended` (n,) is true for replies that end by
    themselves, on EOS.
    """

    written: list[list[int]]
    read: list[list[int]]
    ended: Tensor


class ReplyReader:
    """Finds where replies end for those who read them, as the engines do; one per tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.stops = StopStrings(tokenizer, STOPS, token_texts(tokenizer))

    def sample(
        self, policy: PreTrainedModel, prompts: Sequence[list[int]], seeds: Sequence[int], params: RLParams
    ) -> Replies:
        """Draw one reply to each prompt (BOS and the conversation up to where the assistant speaks)."""
        written = sample_tokens(
            policy,
            prompts,
            temperature=params.temperature,
            top_p=1.0,
            max_new_tokens=params.max_new_tokens,
            seeds=seeds,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            max_batch_tokens=params.max_batch_tokens,
            stop=self.stops,
        )
        return self.read(written)

    def read(self, written: list[list[int]]) -> Replies:
        """Cut written replies at their first stop string; a token that spans its beginning goes with it."""
        eos = self.tokenizer.eos_token_id
        read, ended = [], []
        for ids, text in zip(written, decode(self.tokenizer, written), strict=True):
            before, stopped = self.stops.cut(text)
            ended.append(bool(ids) and ids[-1] == eos and not stopped)
            read.append([*self._first_tokens(ids, len(before)), eos] if stopped else ids if ended[-1] else [*ids, eos])
        return Replies(written, read, torch.tensor(ended, dtype=torch.bool))

    def _first_tokens(self, ids: list[int], characters: int) -> list[int]:
        kept = len(ids)
        while kept and len(decode(self.tokenizer, [ids[:kept]])[0]) > characters:
            kept -= 1
        return ids[:kept]
