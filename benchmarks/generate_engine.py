"""What one would write without this project: an engine on `model.generate`, in padded batches of like length."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from cai_kedro.core.asks import Ask
from cai_kedro.core.layouts.hh import STOPS, text_of
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.stopping import StopStrings, decode, token_texts


class Stops(StoppingCriteria):
    """Our own search for stop strings, which is cheaper than that of transformers."""

    def __init__(self, stops: StopStrings, start: int) -> None:
        self._stops, self._start = stops, start

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        """Say for each row whether it has reached a stop string."""
        return torch.tensor([self._stops(ids) for ids in input_ids[:, self._start :].tolist()])


class GenerateEngine:
    """Samples like `TransformersEngine`; every prompt is read whole."""

    def __init__(self, lm: LanguageModel, *, rows: int) -> None:
        self._lm, self._rows = lm, rows
        self._texts = token_texts(lm.tokenizer)

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask; the seeds are not used, `generate` draws for a whole batch."""
        tokenizer, stops = self._lm.tokenizer, StopStrings(self._lm.tokenizer, STOPS, self._texts)
        texts = [f"{tokenizer.bos_token}{text_of(ask)}" for ask in asks]
        encoded: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        completions: dict[int, Completion] = {}
        for start in range(0, len(order), self._rows):
            batch = order[start : start + self._rows]
            sampled = self._batch([encoded[i] for i in batch], sampling, stops)
            for i, text in zip(batch, decode(tokenizer, sampled), strict=True):
                kept, stopped = stops.cut(text)
                completions[i] = Completion(kept.strip(), "stop" if stopped else "length")
        return [completions[i] for i in range(len(asks))]

    def _batch(self, rows: list[list[int]], sampling: Sampling, stops: StopStrings) -> list[list[int]]:
        longest, pad = max(map(len, rows)), self._lm.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        output = self._lm.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=pad,
            eos_token_id=self._lm.tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([Stops(stops, longest)]),
        )
        return output[:, longest:].tolist()
