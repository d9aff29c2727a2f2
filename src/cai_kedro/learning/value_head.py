"""A policy with a value head: per reply token its log-probability and the value of the state it was chosen in."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

#: Reply tokens are padded to a multiple of this, for few different shapes (see `engines.batching.SHAPE_STEP`).
TOKEN_STEP = 64


def reply_states(model: PreTrainedModel, input_ids: Tensor, starts: Tensor, width: int) -> Tensor:
    """Return the last hidden state from which each reply token is chosen: (n, width, d).

    `input_ids` (n, T) hold prompt and reply, right-padded; under causal attention that needs no mask. A reply starts at
    `starts` (n,), so its first token is chosen one position earlier. States behind the reply's end mean nothing.
    """
    hidden = model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
    positions = starts[:, None] - 1 + torch.arange(width, device=starts.device)
    positions = positions.clamp(max=input_ids.shape[1] - 1)
    return hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))


def reply_logits(model: PreTrainedModel, states: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Return the logits of the distribution that was sampled from, for reply tokens only: (tokens of all replies, V).

    Leaving padding out here saves most of the vocabulary's cost.
    """
    chosen = states[mask.bool()]
    n = len(chosen)
    padded = functional.pad(chosen, (0, 0, 0, -n % TOKEN_STEP))
    logits = model.get_output_embeddings()(padded)[:n].float()
    return logits if temperature == 1 else logits / temperature


def chosen_logprobs(logits: Tensor, reply_ids: Tensor, mask: Tensor) -> Tensor:
    """Return the log-probability of each reply token, (n, R) in nats, 0 on padding."""
    return _unpacked(-functional.cross_entropy(logits, reply_ids[mask.bool()], reduction="none"), mask)


def entropies(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the entropy of the distribution that each reply token was drawn from, (n, R) in nats, 0 on padding."""
    logprobs = logits.log_softmax(-1)
    return _unpacked(-(logprobs.exp() * logprobs).sum(-1), mask)


def _unpacked(values: Tensor, mask: Tensor) -> Tensor:
    empty = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    return empty.masked_scatter(mask.bool(), values)


def reply_logprobs(
    model: PreTrainedModel, input_ids: Tensor, starts: Tensor, reply_ids: Tensor, mask: Tensor, temperature: float
) -> Tensor:
    """Return the log-probability that a model gives each reply token, (n, R) in nats, 0 on padding."""
    states = reply_states(model, input_ids, starts, mask.shape[1])
    return chosen_logprobs(reply_logits(model, states, mask, temperature), reply_ids, mask)


class ActorCritic(nn.Module):
    """The policy and a linear value head on its last hidden state, zero at the start.

    In a small model the policy pays for trunk features that only the values need, hence `trunk_gradient`: the factor on
    what flows back from the values into the trunk.
    """

    def __init__(self, policy: PreTrainedModel, trunk_gradient: float) -> None:
        super().__init__()
        self.policy = policy
        self.trunk_gradient = trunk_gradient
        self.value_head = nn.Linear(policy.config.get_text_config().hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: dropout would make the probability ratio differ from 1 without any update."""
        return super().train(False)

    def forward(
        self, input_ids: Tensor, starts: Tensor, reply_ids: Tensor, mask: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities, values and, if asked for, entropies of the reply tokens, each (n, R)."""
        states = reply_states(self.policy, input_ids, starts, mask.shape[1])
        logits = reply_logits(self.policy, states, mask, temperature)
        damped = self.trunk_gradient * states + (1 - self.trunk_gradient) * states.detach()
        values = self.value_head(damped).squeeze(-1).float()
        found = entropies(logits.detach(), mask) if entropy else torch.zeros_like(mask)
        return chosen_logprobs(logits, reply_ids, mask), values * mask, found
