"""GPU hours of the paper's run by arithmetic: operations and bytes of each stage against what a card can do.

Nothing here is measured. `Speed` and `Lengths` are assumptions, and every hour follows from them.
"""

from dataclasses import dataclass

from cai_kedro.core.model_shape import ModelShape
from cai_kedro.metrics.flops import forward_flops, training_flops
from cai_kedro.metrics.workload import (
    PAPER_HELPFUL_COMPARISONS,
    PAPER_RED_TEAM,
    PAPER_ROUNDS,
    SECONDS_AN_HOUR,
)

#: Bytes of a weight, and of a number in the cache of keys and values: bfloat16.
HALF = 2


@dataclass(frozen=True)
class Speed:
    """A card, and how much of it is reached.

    `flops` a second and `bandwidth` in bytes a second are of its data sheet, `memory` in bytes. `mfu` is the share of
    the operations in reading and training, `mbu` that of the bandwidth in writing, `filled` the share of the memory
    for weights and cache; `rows` are written at a time at most.
    """

    flops: float
    bandwidth: float
    memory: float
    mfu: float
    mbu: float
    filled: float
    rows: int


@dataclass(frozen=True)
class Lengths:
    """Tokens: a prompt with its conversation, a reply, a critique, a request to the model (a principle in words).

    `critique_shots` are the worked examples before a critique, the same for all rows of a call; a comparison has
    `label_shots` of them, drawn for each pair. `ppo_epochs` passes learn from a reply.
    """

    prompt: int
    reply: int
    critique: int
    request: int
    critique_shots: int
    label_shots: int
    ppo_epochs: int

    @property
    def answer(self) -> int:
        """A prompt with its reply."""
        return self.prompt + self.reply


@dataclass(frozen=True)
class Work:
    """What one row of a stage needs: tokens read, written and learnt from.

    `shared` tokens stand in front of all rows of a call: they are read once where prefixes are shared. `context` is
    what a token sees of its own row, on average. `logits` says whether learning needs the scores of all words.
    """

    rows: int
    read: int = 0
    written: int = 0
    learnt: int = 0
    shared: int = 0
    context: int = 0
    logits: bool = True


def paper_work(lengths: Lengths) -> dict[str, Work]:
    """Return stage → its work, for the paper's 182,831 prompts and 135,296 helpful comparisons (§3.2, §4.2).

    In RL there is one reply to each prompt of both kinds, an assumption: the paper gives no number.
    """
    n, helpful, answer = PAPER_RED_TEAM, PAPER_HELPFUL_COMPARISONS, lengths.answer
    critique = answer + lengths.request
    revision = critique + lengths.critique + lengths.request
    comparison = (1 + lengths.label_shots) * (lengths.prompt + 2 * lengths.reply + lengths.request)
    return {
        "responses": Work(n, read=lengths.prompt, written=lengths.reply, context=answer),
        "helpful responses": Work(2 * helpful, read=lengths.prompt, written=lengths.reply, context=answer),
        "critiques and revisions": Work(
            n * PAPER_ROUNDS,
            read=critique + revision,
            written=lengths.critique + lengths.reply,
            shared=lengths.critique_shots,
            context=revision,
        ),
        "SL-CAI": Work(n * PAPER_ROUNDS + 2 * helpful, learnt=answer, context=answer // 2),
        "pairs": Work(2 * n, read=lengths.prompt, written=lengths.reply, context=answer),
        "labels": Work(n, read=comparison, context=comparison // 2),
        "preference model": Work(2 * (n + helpful), learnt=answer, context=answer // 2, logits=False),
        # the policy writes and reads, the start policy and the preference model read, and the policy learns
        "RL": Work(
            n + helpful,
            read=lengths.prompt + 3 * answer,
            written=lengths.reply,
            learnt=lengths.ppo_epochs * answer,
            context=answer,
        ),
    }


def cards(shape: ModelShape, speed: Speed) -> int:
    """Return on how many cards a model lies: as few as leave half of them to the cache, a power of two."""
    number = 1
    while HALF * shape.parameters > number * speed.memory / 2:
        number *= 2
    return number


def hours(work: Work, shape: ModelShape, speed: Speed, *, sharing: bool) -> float:
    """Return the GPU hours of a stage: those of reading, of writing and of learning.

    Without `sharing` every row reads the tokens in front, and has them in its cache.
    """
    in_front = 0 if sharing else work.shared
    seen = work.context + work.shared
    read = forward_flops(shape, work.read + in_front, seen, logits=0)
    learnt = training_flops(shape, work.learnt, work.context, work.learnt if work.logits else 0, whole=True)
    seconds = (read + learnt) / (speed.flops * speed.mfu)
    return (
        work.rows * (seconds + work.written * _seconds_a_written_token(work, shape, speed, sharing)) / SECONDS_AN_HOUR
    )


def _seconds_a_written_token(work: Work, shape: ModelShape, speed: Speed, sharing: bool) -> float:
    """Return GPU seconds: a step reads weights and cache once for all rows, or computes, whichever takes longer."""
    number = cards(shape, speed)
    weights = HALF * shape.parameters
    a_token = 2 * shape.layers * shape.key_heads * shape.head_width * HALF
    own = a_token * (work.context + (0 if sharing else work.shared))
    once = a_token * work.shared if sharing else 0
    rows = max(1, min(speed.rows, int((speed.filled * number * speed.memory - weights - once) // own)))
    moved = (weights + once + rows * own) / (number * speed.bandwidth * speed.mbu)
    computed = rows * forward_flops(shape, 1, work.context + work.shared, 1) / (number * speed.flops * speed.mfu)
    return number * max(moved, computed) / rows
