"""How the rows of a model's family may be read in batches: found out on a few tokens, not looked up in a list of names.

Recurrent states, windows and biases by distance take padding for tokens in some families and not in others. So the
ways of reading that save work are tried on one model once, against a plain forward pass over each row alone.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.engines.batching import is_out_of_memory
from cai_kedro.engines.kv_cache import can_rewind
from cai_kedro.engines.prefix_tree import Level
from cai_kedro.engines.reading import BatchRules, Reader, accepted_arguments, context_length, evaluating
from cai_kedro.engines.shared_prefix import LEAST_TOKENS, SharedPrefix, read_prefix

logger = logging.getLogger(__name__)

#: What rounding may do: root mean square of the logits' error, in standard deviations of the logits. In 16 bits
#: rounding adds up over layers: 0.03-0.08 in Llamas of 24 and 30; what a family cannot do is off by 0.18 and more.
EXACT, EXACT_16_BIT = 0.001, 0.12
#: Above this, no rounding explains that reading step by step gives something else than reading at once.
WRONG = 0.5

SHARED, SHORT, LONG = LEAST_TOKENS, 5, 14  # tokens: what both rows begin with, and what each goes on with
CACHES = {"past_key_values", "cache_params"}
STEPS = 2  # of these tokens, how many are read one by one
GAP = 1024  # places of padding between two levels: more than a window that a cache does not tell of

_RULES: WeakKeyDictionary[PreTrainedModel, BatchRules] = WeakKeyDictionary()


def batch_rules(model: PreTrainedModel) -> BatchRules:
    """Return what may be done to this model's rows; the first call tries it out.

    Raises `ValueError` for a model that cannot be read step by step at all.
    """
    if model not in _RULES:
        with evaluating(model), torch.autocast(model.device.type, enabled=False):
            _RULES[model] = _Probe(model).rules()
    return _RULES[model]


class _Probe:
    """Two rows of random tokens, and the logits of their last positions when each is read alone and at once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        vocabulary = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]
        ids = np.random.default_rng(0).integers(vocabulary, size=SHARED + SHORT + LONG).tolist()
        self.shared, own = ids[:SHARED], ids[SHARED:]
        self.own = [own[:SHORT], own[SHORT:]]
        self.rows = [self.shared + tokens for tokens in self.own]
        alone = [model(input_ids=self._ids([row]), use_cache=False).logits[0] for row in self.rows]
        self.expected = torch.stack([logits[-STEPS - 1 :] for logits in alone]).float()

    def rules(self) -> BatchRules:
        if not accepted_arguments(self.model) & CACHES:
            raise ValueError(self._refusal("its forward pass takes no cache"))
        padding = self._exact(self._padded)
        if not padding:
            error = self._error(self._alone)
            if error > WRONG:
                raise ValueError(self._refusal(f"its logits are then off by {error:.1f} of their standard deviations"))
            logger.info("%s takes padding for tokens: only rows of one length are read together", self._name)
        levels = padding and can_rewind(self.model) and self._exact(self._levels)
        return BatchRules(padding, levels, prefix=levels and self._exact(self._prefixed))

    @property
    def _name(self) -> str:
        return type(self.model).__name__

    def _refusal(self, fault: str) -> str:
        return (
            f"{self._name} cannot be sampled from token by token: {fault}; use a model of another family, or serve "
            f"this one and sample from the server (docs/guides/server.md)"
        )

    # ---- ways of reading: each returns logits (rows, STEPS + 1, vocabulary) as `expected` has them

    def _alone(self) -> Tensor:
        return torch.cat([self._steps(self._reader([row]), [row]) for row in self.rows])

    def _padded(self) -> Tensor:
        return self._steps(self._reader(self.rows), self.rows)

    def _levels(self) -> Tensor:
        reader = self._reader(self.rows)
        levels = [Level([self.shared], [0]), Level([own[:-STEPS] for own in self.own], [0, 0])]
        room = context_length(self.model) or GAP
        gap = max(0, min(GAP, room - len(self.rows[-1])))
        return self._steps(reader, self.rows, reader.read_levels(levels, keep=1, gap=gap))

    def _prefixed(self) -> Tensor:
        prefix = read_prefix(self.model, self.rows, own=SHORT)
        if prefix is None:
            raise ValueError("this family cannot attend to a prefix")
        return self._steps(self._reader(self.rows, prefix), self.rows)

    def _reader(self, rows: Sequence[list[int]], prefix: SharedPrefix | None = None) -> Reader:
        starts = [row[:-STEPS] for row in rows]
        rules = BatchRules(padding=True, levels=False, prefix=prefix is not None)
        pad = getattr(self.model.config.get_text_config(decoder=True), "pad_token_id", None) or 0
        return Reader(self.model, starts, room=STEPS, pad=pad, max_batch_tokens=sys.maxsize, rules=rules, prefix=prefix)

    def _steps(self, reader: Reader, rows: Sequence[list[int]], first: Tensor | None = None) -> Tensor:
        """Read the last tokens one by one, the rows in the other order by then: rows may leave a batch."""
        logits = [reader.prompts() if first is None else first]
        turned = torch.arange(len(rows) - 1, -1, -1, device=self.model.device)
        reader.keep_rows(turned)
        for step in range(-STEPS, 0):
            logits.append(reader.read(self._ids([[row[step]] for row in rows])[turned])[turned])
        return torch.cat(logits, dim=1)

    def _ids(self, rows: Sequence[list[int]]) -> Tensor:
        return torch.tensor(rows, device=self.model.device)

    # ---- how far off

    def _exact(self, read: Callable[[], Tensor]) -> bool:
        is_16_bit = self.model.dtype in {torch.bfloat16, torch.float16}
        # not `<=`: logits that are no numbers are told when they are sampled from
        return not self._error(read) > (EXACT_16_BIT if is_16_bit else EXACT)

    def _error(self, read: Callable[[], Tensor]) -> float:
        """Return how far off the logits are, in their standard deviations; infinity if they cannot be read so."""
        try:
            logits = read()
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError) as error:
            if is_out_of_memory(error):
                raise
            return float("inf")
        return float((logits - self.expected).square().mean().sqrt() / self.expected.std())
