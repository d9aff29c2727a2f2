"""Training rows: whole documents side by side, each with attention to itself only.

Cutting documents, or letting them see each other, keeps a small model from learning to copy (docs/experiments.md).
"""

import bisect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from cai_kedro.microworld.documents import Lesson, document
from cai_kedro.microworld.spans import Document, text_of

_OPEN_ROWS = 32  # rows that still take documents; more pack tighter, and mix later
_BATCH = 256  # documents tokenised together


@dataclass
class Row:
    """Token ids that open with EOS, EOS behind every document, and the loss weight of each token."""

    ids: list[int]
    weights: list[float]


def encode(tokenizer: PreTrainedTokenizerFast, documents: list[Document]) -> Iterator[Row]:
    """Tokenise documents (without the opening EOS); a token that opens a span carries the span's weight."""
    texts = [text_of(spans) for spans in documents]
    for spans, encoding in zip(documents, tokenizer.backend_tokenizer.encode_batch(texts), strict=True):
        starts = [start for start, _ in encoding.offsets]
        weights = [1.0] * (len(starts) + 1)
        position = 0
        for span in spans:
            if span.weight != 1.0:
                weights[bisect.bisect_left(starts, position)] = span.weight
            position += len(span.text)
        yield Row([*encoding.ids, tokenizer.eos_token_id], weights)


def packed_rows(
    tokenizer: PreTrainedTokenizerFast,
    rng: random.Random,
    row_tokens: int,
    lesson_of: Callable[[int], Lesson] = lambda _: "full",
) -> Iterator[Row]:
    """Yield rows of at most `row_tokens + 1` tokens without end, first fit into a few open rows.

    `lesson_of` says in which lesson a row is, by its number. Documents that fit into no row are left out.
    """
    opened: list[Row] = []
    made = 0
    while True:
        lesson = lesson_of(made)
        batch = [document(rng, lesson=lesson) for _ in range(_BATCH)]
        for piece in encode(tokenizer, batch):
            if len(piece.ids) > row_tokens:
                continue
            row = next((r for r in opened if len(r.ids) + len(piece.ids) <= row_tokens + 1), None)
            if row is None:
                if len(opened) == _OPEN_ROWS:
                    opened.sort(key=lambda r: len(r.ids))
                    yield opened.pop()
                    made += 1
                row = Row([tokenizer.eos_token_id], [0.0])
                opened.append(row)
            row.ids.extend(piece.ids)
            row.weights.extend(piece.weights)


@dataclass(frozen=True)
class Batch:
    """Inputs, targets and target weights (rows, row_tokens), and who may attend to whom (rows, 1, tokens, tokens)."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    attention: Tensor


def collate(rows: list[Row], row_tokens: int, pad_token_id: int, eos_token_id: int) -> Batch:
    """Pad rows to one length and build the additive mask: causal, and inside one document."""
    ids = torch.full((len(rows), row_tokens + 1), pad_token_id)
    weights = torch.zeros(len(rows), row_tokens + 1)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        weights[i, : len(row.weights)] = torch.tensor(row.weights)
    inputs = ids[:, :-1].contiguous()
    segment = (inputs == eos_token_id).cumsum(1)
    allowed = (segment[:, :, None] == segment[:, None, :]) & torch.ones(row_tokens, row_tokens).tril().bool()
    attention = torch.zeros(allowed.shape).masked_fill_(~allowed, torch.finfo(torch.float32).min)
    return Batch(inputs, ids[:, 1:].contiguous(), weights[:, 1:].contiguous(), attention[:, None])
