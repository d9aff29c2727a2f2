"""Replies of a policy in training: how they are drawn, where they end, and what a reader sees of them (§4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.core.asks import Reply
from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.leaked_turns import turn_tokens, without_leaked_turns
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.stopping import StopStrings, decode, token_texts
from cai_kedro.learning.rl_params import AlgorithmParams


@dataclass(frozen=True)
class Replies:
    """n replies as token ids: `written` by the policy, and `read` by people and by the preference model.

    A reply ends on EOS, on a stop string (somebody else's turn) or at the token limit. What is read has no stop string
    and always ends on EOS, where a preference model reads its score. `ended` (n,) is true for replies that end by
    themselves, on any EOS of the model, and hold no turn of a chat template (`engines/leaked_turns.py`).
    """

    written: list[list[int]]
    read: list[list[int]]
    ended: Tensor


class ReplyReader:
    """Finds where replies end for those who read them, as the engines do; one per model."""

    def __init__(self, lm: LanguageModel) -> None:
        """Take a model with its tokenizer. Raises `ValueError` when no token ends an answer."""
        self.tokenizer = lm.tokenizer
        self.eos = eos_ids(lm)
        if not self.eos:
            raise ValueError(
                "neither the tokenizer nor the model's generation config names an EOS token, so no reply would ever "
                "end; set tokenizer.eos_token before saving the model"
            )
        self.turns = turn_tokens(lm.tokenizer, self.eos)
        stops = lm.layout.stops(Reply(()))
        self.stops = StopStrings(lm.tokenizer, stops, token_texts(lm.tokenizer) if stops else ())

    def sample(
        self, policy: PreTrainedModel, prompts: Sequence[list[int]], seeds: Sequence[int], params: AlgorithmParams
    ) -> Replies:
        """Draw one reply to each prompt (the conversation up to where the assistant speaks)."""
        written = sample_tokens(
            policy,
            prompts,
            temperature=params.temperature,
            top_p=1.0,
            max_new_tokens=params.max_new_tokens,
            seeds=seeds,
            eos_token_id=self.eos,
            pad_token_id=self.tokenizer.pad_token_id,
            max_batch_tokens=params.max_batch_tokens,
            stop=self.stops,
        )
        return self.read(written)

    def read(self, written: list[list[int]]) -> Replies:
        """Cut written replies at their first stop string; a token that spans its beginning goes with it.

        Whichever EOS ended a reply, the one that training writes is read.
        """
        read, ended = [], []
        finished = [bool(ids) and ids[-1] in self.eos for ids in written]
        bodies = [ids[:-1] if end else ids for ids, end in zip(written, finished, strict=True)]
        for body, end, text in zip(bodies, finished, decode(self.tokenizer, bodies, self.turns), strict=True):
            before, stopped = self.stops.cut(text)
            ended.append(end and not stopped and without_leaked_turns(before) == before.strip())
            read.append([*(self._first_tokens(body, len(before)) if stopped else body), self.eos[0]])
        return Replies(written, read, torch.tensor(ended, dtype=torch.bool))

    def texts(self, read: list[list[int]]) -> list[str]:
        """Return what people read of replies: a chat template's turns are cut off, as from what engines write."""
        return [without_leaked_turns(text) for text in decode(self.tokenizer, read, self.turns)]

    def _first_tokens(self, ids: list[int], characters: int) -> list[int]:
        kept = len(ids)
        while kept and len(decode(self.tokenizer, [ids[:kept]], self.turns)[0]) > characters:
            kept -= 1
        return ids[:kept]
