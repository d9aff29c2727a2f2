"""A TextEngine on a Hugging Face causal LM, on CPU or GPU."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.core.asks import Ask, n_choices
from cai_kedro.core.layouts.base import Layout
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.choices import choice_token_logprobs
from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.family_probe import batch_rules
from cai_kedro.engines.fingerprint import directory_fingerprint, model_fingerprint
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.leaked_turns import turn_tokens
from cai_kedro.engines.model_files import ModelFiles
from cai_kedro.engines.pieces import Pieces
from cai_kedro.engines.precision import DType, resolve_dtype
from cai_kedro.engines.prompt_ids import PromptIds, context_of
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.stopping import StopStrings, decode, token_texts


@dataclass(frozen=True)
class Unloaded:
    """A model whose weights are on the disk until an engine is asked, and then on the device."""

    files: ModelFiles
    device: str


class TransformersEngine:
    """Samples and reads log-probabilities in batches of at most `max_batch_tokens` tokens, padding included.

    The model computes in `dtype`; a loaded one of which that is not the precision, in a copy. The weights of an
    unloaded one are read when it is first asked, so where all shards are done they never are. Same asks, seeds, batch
    budget, machine: same answers. What is asked is written down in the model's layout, and no special token beside
    those of the layout.
    """

    def __init__(self, source: LanguageModel | Unloaded, *, max_batch_tokens: int, dtype: DType) -> None:
        if max_batch_tokens < 1:
            raise ValueError(f"max_batch_tokens must be at least 1, got {max_batch_tokens}")
        self._source = source
        if isinstance(source, LanguageModel):
            device, config = source.model.device.type, source.model.config
            self._prompts = PromptIds(source.tokenizer, source.layout, context_of(config))
        else:
            device, files = source.device, source.files
            self._prompts = PromptIds(files.tokenizer, files.layout, context_of(files.config))
        self._dtype = resolve_dtype(dtype, device)
        self._max_batch_tokens = max_batch_tokens
        self.tokens_written = 0
        if isinstance(source, LanguageModel):
            _ = self._lm  # a model that cannot be sampled from is told before any work

    @cached_property
    def _lm(self) -> LanguageModel:
        """The model in the precision that it computes in."""
        source = self._source
        if isinstance(source, LanguageModel):
            lm = replace(source, model=cast_weights(source.model, getattr(torch, self._dtype)))
        else:
            lm = source.files.load(self._dtype, source.device)
        batch_rules(lm.model)
        return lm

    @property
    def _model(self) -> PreTrainedModel:
        return self._lm.model

    @property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return self._prompts.tokenizer

    @cached_property
    def _eos(self) -> frozenset[int]:
        return frozenset(eos_ids(self._lm))

    @cached_property
    def _turns(self) -> frozenset[int]:
        return turn_tokens(self._tokenizer, self._eos)

    @property
    def _pad(self) -> int:
        ids = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        return next((i for i in ids if i is not None), 0)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the weights, of the precision it computes in, of the tokenizer and the layout.

        That of a directory does not need the model: where all is done, nothing is loaded.
        """
        source = self._source
        if isinstance(source, LanguageModel):
            return model_fingerprint(self._model, self._tokenizer, self.layout)
        return directory_fingerprint(source.files.directory, self._tokenizer, self.layout, self._dtype)

    @property
    def layout(self) -> Layout:
        """How the model is asked."""
        return self._prompts.layout

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask, row i from seeds[i] alone.

        A completion also ends where the model's context is full. Raises `ValueError` for an ask that does not fit.
        """
        stops = self._stops(asks)
        return self._completions(self._sampled(asks, sampling, seeds, stops), stops)

    def stream(self, ask: Ask, sampling: Sampling, seed: int, heard: Callable[[str], None]) -> Completion:
        """Return what `generate` returns for one ask; `heard` gets the text in pieces while it is written."""
        stops = self._stops([ask])
        pieces = Pieces(self._prompts.stops([ask]), heard)

        def listen(ids: list[int]) -> bool:
            pieces.grow(decode(self._tokenizer, [ids], self._turns)[0])
            return stops(ids)

        (completion,) = self._completions(self._sampled([ask], sampling, [seed], listen), stops)
        pieces.end(completion.text)
        return completion

    def _stops(self, asks: Sequence[Ask]) -> StopStrings:
        stop = self._prompts.stops(asks)
        return StopStrings(self._tokenizer, stop, self._token_texts if stop else ())

    def _sampled(
        self,
        asks: Sequence[Ask],
        sampling: Sampling,
        seeds: Sequence[int],
        stop: Callable[[list[int]], bool],
    ) -> list[list[int]]:
        return sample_tokens(
            self._model,
            self._prompts.encode(asks),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_new_tokens=sampling.max_new_tokens,
            seeds=seeds,
            eos_token_id=self._eos,
            pad_token_id=self._pad,
            max_batch_tokens=self._max_batch_tokens,
            stop=stop,
        )

    def _completions(self, sampled: Sequence[list[int]], stops: StopStrings) -> list[Completion]:
        self.tokens_written += sum(map(len, sampled))
        completions = []
        ended = [ids[-1] in self._eos for ids in sampled]
        written = [ids[:-1] if end else ids for ids, end in zip(sampled, ended, strict=True)]
        for end, text in zip(ended, decode(self._tokenizer, written, self._turns), strict=True):
            kept, stopped = stops.cut(text)
            completions.append(Completion(kept.strip(), "stop" if stopped or end else "length"))
        return completions

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return log P(choice | ask) over all tokens of the choice, in nats: (asks, choices), fp32.

        A choice is tokenised apart from the prompt. Raises `ValueError` for an ask that does not fit.
        """
        if not asks:
            return np.empty((0, n_choices(asks)), dtype=np.float32)
        return choice_token_logprobs(
            self._model,
            self._prompts.encode(asks),
            self._prompts.of_choices(asks),
            pad_token_id=self._pad,
            max_batch_tokens=self._max_batch_tokens,
        )

    def fits(self, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
        """Tell for each ask whether the model's context has room for it and `new_tokens` more."""
        return self._prompts.fits(asks, new_tokens)

    @cached_property
    def _token_texts(self) -> list[str]:
        return token_texts(self._tokenizer)


def cast_weights(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Return the model with its weights in `dtype`: itself if they are, else a copy.

    Buffers keep their precision. `model.to(dtype)` would round the rotary frequencies, which shifts positions. The
    weights are cast one by one; no copy of them in the old precision is made.
    """
    if all(weights.dtype == dtype for weights in model.parameters()):
        return model
    in_place_of = {
        id(weights): nn.Parameter(weights.detach().to(dtype, copy=True), requires_grad=weights.requires_grad)
        for weights in model.parameters()
    }
    cast = copy.deepcopy(model, dict(in_place_of))
    cast.config.dtype = dtype
    return cast
