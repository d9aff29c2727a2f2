"""A policy with a value head: per reply token its log-probability and the value of the state it was chosen in."""

from functools import partial
from typing import Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from cai_kedro.engines.reading import accepted_arguments, evaluating

#: Reply tokens are padded to a multiple of this, for few different shapes (see `engines.batching.SHAPE_STEP`).
TOKEN_STEP = 64
#: Logits of so many bytes at a time, in float32; of the micro LM that is more than any minibatch has.
LOGIT_BYTES = 2**28
TRIED_TOKENS = 8


_PLAIN_HEADS: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def output_head(model: PreTrainedModel) -> nn.Module:
    """Return the module that turns a state into logits. Raises `ValueError` for a model without one."""
    head = model.get_output_embeddings()
    if head is None:
        raise ValueError(
            f"{type(model).__name__} has no output head, so no token has a probability; expected a causal LM "
            f"(…ForCausalLM)"
        )
    return head


def _width(model: PreTrainedModel) -> int:
    return int(output_head(model).weight.shape[-1])  # type: ignore[index]


def has_plain_head(model: PreTrainedModel) -> bool:
    """Say whether the model's logits are its head on its last hidden states, bit for bit; tried out once a model.

    Some families scale their logits or cap them, or have layers between.
    """
    if model not in _PLAIN_HEADS:
        ids = torch.arange(TRIED_TOKENS, device=model.device)[None]
        with evaluating(model), torch.autocast(model.device.type, enabled=False):
            trunk = model.base_model(input_ids=ids, use_cache=False)
            states = getattr(trunk, "last_hidden_state", None)
            fits = states is not None and states.shape[-1] == _width(model)
            # of the class: a trainer may have wrapped the model's own in autocast
            logits = type(model).forward(model, input_ids=ids, use_cache=False).logits
            _PLAIN_HEADS[model] = fits and torch.equal(output_head(model)(states), logits)
    return _PLAIN_HEADS[model]


def read_replies(
    model: PreTrainedModel,
    input_ids: Tensor,
    starts: Tensor,
    reply_ids: Tensor,
    mask: Tensor,
    temperature: float,
    entropy: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each reply token the state it is chosen from (n, R, d), its log-probability and the entropy (n, R).

    The states are what the model's head reads; the distribution is the one that was sampled from. Figures are in nats,
    0 on padding, entropies 0 unless asked for. `input_ids` (n, T) hold prompt and reply, right-padded; under causal
    attention that needs no mask. A reply starts at `starts` (n,), so its first token is chosen one position earlier.
    States behind the reply's end mean nothing.
    """
    positions = starts[:, None] - 1 + torch.arange(mask.shape[1], device=starts.device)
    positions = positions.clamp(max=input_ids.shape[1] - 1)
    chosen = reply_ids[mask.bool()]
    if has_plain_head(model):
        states = _at(model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state, positions)
        found = _by_plain_head(model, states[mask.bool()], chosen, temperature, entropy)
    else:
        states, logits = _own_pass(model, input_ids, positions, mask)
        found = _figures(logits, chosen, temperature, entropy)
    logprobs, entropies = (_unpacked(values, mask) for values in found)
    return states, logprobs, entropies


def _by_plain_head(
    model: PreTrainedModel, states: Tensor, chosen: Tensor, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and entropies (tokens,) of states (tokens, d), so many at a time that logits have room.

    In training, the logits of all but one part are forgotten and computed again for their gradients.
    """

    def part(states: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return _figures(_plain_logits(model, states), chosen, temperature, entropy)

    size = tokens_at_once(int(output_head(model).weight.shape[0]))  # type: ignore[index]
    if len(states) <= size:
        return part(states, chosen)
    read = partial(checkpoint, part, use_reentrant=False) if torch.is_grad_enabled() else part
    found = [read(*each) for each in zip(states.split(size), chosen.split(size), strict=True)]
    logprobs, entropies = (torch.cat(parts) for parts in zip(*found, strict=True))
    return logprobs, entropies


def tokens_at_once(vocabulary: int) -> int:
    """Return for how many tokens there are logits at a time."""
    return max(TOKEN_STEP, LOGIT_BYTES // (4 * vocabulary) // TOKEN_STEP * TOKEN_STEP)


def _figures(logits: Tensor, chosen: Tensor, temperature: float, entropy: bool) -> tuple[Tensor, Tensor]:
    logits = logits if temperature == 1 else logits / temperature
    entropies = _entropies(logits.detach()) if entropy else logits.new_zeros(len(chosen))
    return -functional.cross_entropy(logits, chosen, reduction="none"), entropies


def _entropies(logits: Tensor) -> Tensor:
    logprobs = logits.log_softmax(-1)
    # in place: with a large vocabulary each such tensor is as large as all the activations of a small model
    return -logprobs.exp().mul_(logprobs).sum(-1)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    return states.gather(1, positions[..., None].expand(-1, -1, states.shape[-1]))


def _plain_logits(model: PreTrainedModel, chosen: Tensor) -> Tensor:
    """Return the logits of these states only: leaving padding out saves most of the vocabulary's cost."""
    n = len(chosen)
    padded = functional.pad(chosen, (0, 0, 0, -n % TOKEN_STEP))
    logits: Tensor = output_head(model)(padded)[:n].float()
    return logits


def _own_pass(model: PreTrainedModel, input_ids: Tensor, positions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run the model's own forward pass from the first reply's start on, and look at what its head reads."""
    first, read = int(positions[:, 0].min()), []
    keep = {"logits_to_keep": input_ids.shape[1] - first} if "logits_to_keep" in accepted_arguments(model) else {}
    hook = output_head(model).register_forward_pre_hook(lambda _, args: read.append(args[0]))
    try:
        logits = model(input_ids=input_ids, use_cache=False, **keep).logits
    finally:
        hook.remove()
    (states,) = read
    offset = input_ids.shape[1] - logits.shape[1]
    rows = torch.arange(len(input_ids), device=input_ids.device)[:, None].expand_as(positions)
    chosen = mask.bool()
    return _at(states, positions - offset), logits[rows[chosen], (positions - offset)[chosen]].float()


def _unpacked(values: Tensor, mask: Tensor) -> Tensor:
    empty = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
    return empty.masked_scatter(mask.bool(), values)


def reply_logprobs(
    model: PreTrainedModel, input_ids: Tensor, starts: Tensor, reply_ids: Tensor, mask: Tensor, temperature: float
) -> Tensor:
    """Return the log-probability that a model gives each reply token, (n, R) in nats, 0 on padding."""
    return read_replies(model, input_ids, starts, reply_ids, mask, temperature, entropy=False)[1]


class ActorCritic(nn.Module):
    """The policy and a linear value head on the states that its output head reads, zero at the start.

    In a small model the policy pays for trunk features that only the values need, hence `trunk_gradient`: the factor on
    what flows back from the values into the trunk.
    """

    def __init__(self, policy: PreTrainedModel, trunk_gradient: float) -> None:
        super().__init__()
        self.policy = policy
        self.trunk_gradient = trunk_gradient
        # as wide as what the output head reads, which some families project down from the layers' states
        self.value_head = nn.Linear(_width(policy), 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: dropout would make the probability ratio differ from 1 without any update."""
        return super().train(False)

    def forward(
        self, input_ids: Tensor, starts: Tensor, reply_ids: Tensor, mask: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities, values and, if asked for, entropies of the reply tokens, each (n, R)."""
        states, logprobs, found = read_replies(self.policy, input_ids, starts, reply_ids, mask, temperature, entropy)
        damped = self.trunk_gradient * states + (1 - self.trunk_gradient) * states.detach()
        values = self.value_head(damped).squeeze(-1).float()
        return logprobs, values * mask, found
