"""Rollouts: which prompts are drawn, the replies sampled to them, and the padded tensors that PPO learns from."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.batching import length_sorted_batches, round_up
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prompt_ids import prompt_ids
from cai_kedro.engines.sampling import context_length
from cai_kedro.learning.batching import right_padded
from cai_kedro.learning.encoding import without_refused

logger = logging.getLogger(__name__)

#: What a model needs of episodes to read them.
READ = ("input_ids", "starts", "reply_ids", "mask")

#: Reads a batch of `READ` and returns per-token figures, each (rows, longest reply).
Reader = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class EncodedPrompts:
    """Prompts as the policy's layout writes them, up to where the assistant speaks, and as token ids."""

    prompt_ids: list[str]
    texts: list[str]
    token_ids: list[list[int]]

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.prompt_ids)

    def rows(self, kept: Sequence[int]) -> "EncodedPrompts":
        """Return these prompts alone."""
        ids, texts, tokens = self.prompt_ids, self.texts, self.token_ids
        return EncodedPrompts([ids[row] for row in kept], [texts[row] for row in kept], [tokens[row] for row in kept])


def longest_prompt(max_new_tokens: int, *models: PreTrainedModel) -> int:
    """Return how many tokens a prompt may have for a reply, and the EOS behind a cut one, to fit into every context."""
    rooms = [room for model in models if (room := context_length(model)) is not None]
    return min(rooms, default=2**31) - max_new_tokens - 1


def encode_prompts(prompts: pd.DataFrame, policy: LanguageModel, longest: int) -> EncodedPrompts:
    """Encode a `prompts` table, leaving out prompts of more than `longest` tokens: there is no room for a reply.

    What the policy's chat template refuses is left out, too.

    Raises `ValueError` when none is left.
    """
    prompts = without_refused(policy, prompts)
    asks = [Reply(as_messages(cell)) for cell in prompts["messages"]]
    texts = [policy.layout.prompt(ask).text for ask in asks]
    encoded = prompt_ids(policy.tokenizer, policy.layout, asks)
    kept = [row for row, ids in enumerate(encoded) if len(ids) <= longest]
    if not kept:
        raise ValueError(
            f"no prompt to train a policy on: {len(encoded)} came, and none of them has at most {longest} tokens (the "
            "model's length less max_new_tokens); check what made the table, or lower max_new_tokens"
        )
    if len(kept) < len(encoded):
        left_out = len(encoded) - len(kept)
        example = next(name for name, ids in zip(prompts["prompt_id"], encoded, strict=True) if len(ids) > longest)
        logger.warning(
            "%d of %d prompts have more than %d tokens, such as %r: left out", left_out, len(encoded), longest, example
        )
    return EncodedPrompts([str(name) for name in prompts["prompt_id"]], texts, encoded).rows(kept)


def drawn_prompts(prompt_ids: Sequence[str], per_rollout: int, rollout: int, seed: int) -> list[int]:
    """Return the rows of the prompts of a rollout: without replacement within an epoch, each epoch in its own order.

    What does not fill a rollout at the end of an epoch is left to the next one. Depends on nothing but the arguments,
    so a resumed run draws what an uninterrupted one would have drawn.
    """
    epoch, position = divmod(rollout, len(prompt_ids) // per_rollout)
    order = sorted(range(len(prompt_ids)), key=lambda row: derive_seed(seed, "prompt order", epoch, prompt_ids[row]))
    return order[position * per_rollout : (position + 1) * per_rollout]


def sample_seeds(prompt_ids: Sequence[str], samples_per_prompt: int, rollout: int, seed: int) -> list[int]:
    """Return one seed per reply, the samples of a prompt next to each other."""
    return [
        derive_seed(seed, "rollout", rollout, prompt_id, sample)
        for prompt_id in prompt_ids
        for sample in range(samples_per_prompt)
    ]


@dataclass(frozen=True)
class Episodes:
    """Sampled replies with their prompts: n rows, right-padded to sizes that batches come in, on one device.

    `input_ids` (n, T) hold prompt and reply; the reply alone is `reply_ids` (n, R) with its `mask` (n, R), and it
    starts at `starts` (n,). `signals` (n, R) are what learning adds: old log-probabilities, advantages and so on.
    """

    input_ids: Tensor
    starts: Tensor
    reply_ids: Tensor
    mask: Tensor
    signals: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls, prompts: Sequence[list[int]], replies: Sequence[list[int]], pad_token_id: int, device: torch.device
    ) -> "Episodes":
        """Pad prompts and replies. A reply holds at least one token."""

        def padded(rows: Sequence[list[int]], value: int) -> Tensor:
            return right_padded(rows, value).to(device)

        return cls(
            input_ids=padded([p + r for p, r in zip(prompts, replies, strict=True)], pad_token_id),
            starts=torch.tensor([len(prompt) for prompt in prompts], device=device),
            reply_ids=padded(replies, pad_token_id),
            mask=padded([[1] * len(reply) for reply in replies], 0).float(),
        )

    @classmethod
    def from_batch(cls, batch: Mapping[str, Tensor]) -> "Episodes":
        """Return the episodes that `rows` made a batch of."""
        return cls(
            **{name: batch[name] for name in READ},
            signals={name: tensor for name, tensor in batch.items() if name not in READ},
        )

    @property
    def lengths(self) -> Tensor:
        """Tokens of prompt and reply: (n,)."""
        return self.starts + self.mask.sum(1).long()

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Return a batch of these rows, trimmed to about its longest row and its longest reply."""
        mask = self.mask[index]
        width = round_up(int(mask.sum(1).max()))
        length = round_up(int(self.lengths[index].max()))
        batch = {"reply_ids": self.reply_ids[index], "mask": mask}
        batch |= {name: signal[index] for name, signal in self.signals.items()}
        return {
            "input_ids": self.input_ids[index, :length],
            "starts": self.starts[index],
            **{name: tensor[:, :width] for name, tensor in batch.items()},
        }

    def read(self, reader: Reader, max_batch_tokens: int) -> tuple[Tensor, ...]:
        """Have a reader return per-token figures of all rows, each (n, R), 0 behind a batch's replies.

        It reads rows of like length at a time, at most `max_batch_tokens` padded ones: little padding. Rows do not
        influence each other, so this is the same as reading them together, but for rounding; gradients included.
        """
        batches = length_sorted_batches([round_up(n) for n in self.lengths.tolist()], max_batch_tokens)
        place = torch.tensor([row for batch in batches for row in batch], device=self.mask.device).argsort()
        found = [reader(**self._read_only(torch.tensor(batch, device=self.mask.device))) for batch in batches]
        width = self.mask.shape[1]
        return tuple(
            torch.cat([functional.pad(part, (0, width - part.shape[1])) for part in parts])[place]
            for parts in zip(*found, strict=True)
        )

    def _read_only(self, index: Tensor) -> dict[str, Tensor]:
        batch = self.rows(index)
        return {name: batch[name] for name in READ}

    def parts(self, size: int) -> list[dict[str, Tensor]]:
        """Return all rows in their order, at most `size` in a part; as one part they are what they were."""
        if size >= len(self.mask):
            return [{**{name: getattr(self, name) for name in READ}, **self.signals}]
        return [self.rows(index) for index in torch.arange(len(self.mask), device=self.mask.device).split(size)]

    def minibatches(self, size: int, seed: int) -> Iterator[dict[str, Tensor]]:
        """Yield every row once, in batches of `size` in a random order that the seed fixes."""
        order = torch.randperm(len(self.mask), generator=torch.Generator().manual_seed(seed))
        for index in order.split(size):
            yield self.rows(index.to(self.mask.device))
