"""Pretraining of the micro LM from scratch: a small Llama on the micro world's corpus."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Protocol, Self

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cai_kedro.core.finite import check_step, check_weights
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.microworld.curriculum import Curriculum, LessonParams
from cai_kedro.microworld.documents import Lesson, document
from cai_kedro.microworld.finding import all_words
from cai_kedro.microworld.lean_llama import last_hidden_states
from cai_kedro.microworld.muon import BatchedMuon
from cai_kedro.microworld.packing import Batch, collate, packed_rows
from cai_kedro.microworld.spans import DECISIVE, LETTER, text_of
from cai_kedro.microworld.token_loss import weighted_cross_entropy
from cai_kedro.microworld.tokenizer import train_tokenizer

logger = logging.getLogger(__name__)

_LOG_EVERY = 50  # steps
_WORD_LISTS = 100  # of all words, that the tokenizer reads beside the sample


class Later(BaseModel):
    """From this step on the corpus has the mix of this lesson."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(ge=0)
    lesson: Lesson


class Restart(BaseModel):
    """Behind this step the learning rate, which has fallen to zero, starts again at a share of what it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(ge=1)
    rate: float = Field(gt=0, le=1)


class PretrainingParams(BaseModel):
    """Size of the micro LM and of its training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(ge=300)
    tokenizer_documents: int = Field(ge=100)
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    max_positions: int = Field(ge=64)
    steps: int = Field(ge=1)
    rows_per_step: int = Field(ge=1)
    row_tokens: int = Field(ge=64)
    lessons: dict[Lesson, LessonParams]
    later: tuple[Later, ...] = ()
    matrix_learning_rate: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=1)
    decay_share: float = Field(gt=0, le=1)
    restart: Restart | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        starts = [each.after for each in self.later]
        if starts != sorted(set(starts)):
            raise ValueError(f"each entry of `later` begins behind the one before, got {starts}")
        if self.restart is not None and self.restart.after >= self.steps:
            raise ValueError(
                f"a restart after {self.restart.after} of {self.steps} steps is none; set micro.restart to null, or "
                f"raise `steps`"
            )
        return self

    def lesson_of(self, step: int) -> Lesson | None:
        """Return the lesson of `later` that a step is in, counted from 0; None before the first."""
        return next((each.lesson for each in reversed(self.later) if each.after <= step), None)


class Checkpoints(Protocol):
    """Where the state of a training is kept, and that of a killed one is found."""

    @property
    def state(self) -> dict[str, Any] | None:
        """What to go on from, None at the beginning."""
        ...

    def at(self, step: int, last: bool, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state behind so many steps, if it is time."""
        ...


@dataclass(frozen=True)
class Pretrained:
    """The trained model, its tokenizer, and the loss along training (step, metric, value)."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    curves: pd.DataFrame


def build_tokenizer(params: PretrainingParams, seed: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer on a sample of the corpus."""
    rng = rng_for(seed, "tokenizer")
    texts = (text_of(document(rng)) for _ in range(params.tokenizer_documents))
    # a noun is one token, however seldom the sample has it: copying it is copying one token
    words = "".join(f" {word}" for word in all_words(held_out=True))
    return train_tokenizer(chain(texts, repeat(words, _WORD_LISTS)), params.vocab_size)


def build_model(params: PretrainingParams, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Return a Llama with random weights."""
    torch.manual_seed(derive_seed(seed, "weights"))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=params.intermediate_size,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        num_key_value_heads=params.kv_heads,
        max_position_embeddings=params.max_positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")  # plain products beat the fused CPU kernel at this size
    return model


def learning_rate_factor(step: int, params: PretrainingParams) -> float:
    """Warm up, hold, then fall linearly to zero over the last `decay_share` of the steps; once more after a restart."""
    first, last, rate = 0, params.steps, 1.0
    if params.restart is not None:
        if step < params.restart.after:
            last = params.restart.after
        else:
            first, rate = params.restart.after, params.restart.rate
    warm = (step - first + 1) / params.warmup_steps
    left = (last - step) / max(1.0, params.decay_share * (last - first))
    return rate * min(1.0, warm, left)


def batch_loss(model: LlamaForCausalLM, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the weighted mean cross-entropy, and that of every target (rows, tokens), in nats."""
    hidden = last_hidden_states(model, batch.inputs, batch.attention)
    mean, losses = weighted_cross_entropy(
        hidden.flatten(0, 1), model.lm_head.weight, batch.targets.flatten(), batch.weights.flatten()
    )
    return mean, losses.view_as(batch.weights)


def pretrain(
    params: PretrainingParams,
    seed: int,
    on_step: Callable[[int, LlamaForCausalLM], None] | None = None,
    stop_after: int | None = None,
    checkpoints: Checkpoints | None = None,
) -> Pretrained:
    """Train tokenizer and model from nothing, or from what `checkpoints` hold of this very training.

    `on_step` sees the model after each step. `stop_after` ends behind so many steps (the schedule stays that of the
    full run): what the test of the recorded loss curve does. Raises `ValueError` at the first number that is not
    finite.
    """
    tokenizer = build_tokenizer(params, seed)
    model = build_model(params, tokenizer, seed)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = (
        (BatchedMuon(matrices, lr=params.matrix_learning_rate), params.matrix_learning_rate),
        (torch.optim.AdamW(others, lr=params.learning_rate, betas=(0.9, 0.95), weight_decay=0.0), params.learning_rate),
    )
    curriculum = Curriculum(params.lessons)

    def lesson_at(step: int) -> Lesson:
        return params.lesson_of(step) or curriculum.lesson(step)

    rows = packed_rows(
        tokenizer,
        rng_for(seed, "corpus"),
        params.row_tokens,
        lambda row: lesson_at(row // params.rows_per_step),
    )
    records: list[tuple[int, str, float]] = []
    first = 0
    if checkpoints is not None and (kept := checkpoints.state) is not None:
        first, records = kept["step"], kept["records"]
        model.load_state_dict(kept["model"])
        for (optimizer, _), state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        curriculum.restore(kept["curriculum"])
        deque(islice(rows, first * params.rows_per_step), maxlen=0)  # what was learnt from is drawn and left

    def state_behind(step: int) -> dict[str, Any]:
        check_weights("pretraining", model.named_parameters())
        states = [optimizer.state_dict() for optimizer, _ in optimizers]
        return {
            "step": step,
            "records": records,
            "curriculum": curriculum.state,
            "model": model.state_dict(),
            "optimizers": states,
        }

    started = time.monotonic()
    for step in range(first, params.steps):
        for optimizer, rate in optimizers:
            optimizer.param_groups[0]["lr"] = rate * learning_rate_factor(step, params)
        batch = collate(
            list(islice(rows, params.rows_per_step)), params.row_tokens, tokenizer.pad_token_id, tokenizer.eos_token_id
        )
        loss, losses = batch_loss(model, batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        figures = {"loss": loss.item(), "gradient norm": norm.item()}
        check_step("pretraining", step + 1, optimizers[0][0].param_groups[0]["lr"], figures)
        for optimizer, _ in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        ended = curriculum.observe(step + 1, _losses_of(losses, batch))
        if ended is not None:
            logger.info("pretraining: the lesson %r ends at step %d", ended, step + 1)
        if step % _LOG_EVERY == _LOG_EVERY - 1 or step == params.steps - 1:
            now = _record(step + 1, losses, batch)
            _log_progress(step + 1, params, now, (time.monotonic() - started) / (step + 1 - first))
            records += now
        if checkpoints is not None:
            checkpoints.at(step + 1, step == params.steps - 1, partial(state_behind, step + 1))
        if on_step is not None:
            on_step(step + 1, model)
        if stop_after == step + 1:
            break
    check_weights("pretraining", model.named_parameters())
    return Pretrained(model.eval(), tokenizer, pd.DataFrame(records, columns=["step", "metric", "value"]))


def _losses_of(losses: Tensor, batch: Batch) -> dict[str, float]:
    """Return the mean loss of what decides and of the letters among it, where there are any."""
    chosen = {"decisions": batch.weights >= DECISIVE, "letters": batch.weights == LETTER}
    return {name: losses[mask].mean().item() for name, mask in chosen.items() if mask.any()}


def _record(step: int, losses: Tensor, batch: Batch) -> list[tuple[int, str, float]]:
    """Return the mean loss of all text, of what decides, and of the letters, where there are any."""
    told = {"loss": losses[batch.weights > 0].mean().item(), **_losses_of(losses, batch)}
    names = {"decisions": "decision_loss", "letters": "letter_loss"}
    return [(step, names.get(name, name), value) for name, value in told.items()]


def _log_progress(
    step: int, params: PretrainingParams, now: list[tuple[int, str, float]], seconds_a_step: float
) -> None:
    logger.info(
        "pretraining: step %d of %d, %s, %.0f tokens/s, %.0f s left",
        step,
        params.steps,
        ", ".join(f"{name} {value:.3f}" for _, name, value in now),
        params.rows_per_step * params.row_tokens / seconds_a_step,
        seconds_a_step * (params.steps - step),
    )
