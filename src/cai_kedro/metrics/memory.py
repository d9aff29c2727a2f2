"""How many bytes of memory a stage needs at its peak: a small arithmetic model of transformers, checked by measurement.

`benchmarks/memory.py` measures it. What is not in it: the libraries themselves (0.5 to 1 GB), fragmentation, texts.
"""

from dataclasses import dataclass

from cai_kedro.core.model_shape import ModelShape

#: Bytes of a number in single precision, and in bfloat16.
FULL, HALF = 4, 2
#: Bytes of a weight of 4 bits, with its share of the scale of 64 (`engines.nf4`).
QUARTER = 0.5 + FULL / 64
#: Adam keeps two numbers a weight.
OF_ADAM = 2 * FULL
#: Logits, their softmax and the gradient of both: what a loss over the vocabulary holds at its peak.
LOGIT_COPIES = 3
#: TRL's loss of fine-tuning and DPO reads tiles of so many tokens and words; beside a tile there are so many copies
#: of it in plain torch operations, and one in its kernel for GPUs.
TILE_TOKENS, TILE_WORDS = 4096, 32768
TILE_COPIES, TILE_COPIES_FUSED = 8, 2


@dataclass(frozen=True)
class OnBackbone:
    """An adapter of so many weights, which alone has gradients and an optimiser, on a backbone of 4 bits or not."""

    weights: int
    four_bits: bool = False


@dataclass(frozen=True)
class Compute:
    """How a stage computes: products in bfloat16 or not, whether the layers' activations are computed twice.

    `fused` attention keeps no scores. On a GPU it is fused, on a CPU plain products are faster. Without an `adapter`
    all weights are trained.
    """

    half: bool
    checkpointing: bool
    fused: bool
    adapter: OnBackbone | None = None

    def weights_trained(self, shape: ModelShape) -> int:
        """Return how many weights are trained."""
        return shape.parameters if self.adapter is None else self.adapter.weights

    def weights_held(self, shape: ModelShape) -> int:
        """Return the bytes of the model that is trained."""
        quarter = shape.linear_parameters if self.adapter is not None and self.adapter.four_bits else 0
        return FULL * (shape.parameters - quarter) + round(QUARTER * quarter)

    @property
    def number(self) -> int:
        """Bytes of what a product reads."""
        return HALF if self.half else FULL


@dataclass(frozen=True)
class StageMemory:
    """Bytes of a stage by what they are for; those of one of two phases that take turns count where they are more.

    `sampling` is what is there while replies are sampled, `learning` while gradients are computed.
    """

    stage: str
    held: dict[str, int]
    sampling: dict[str, int]
    learning: dict[str, int]

    @property
    def parts(self) -> dict[str, int]:
        """The parts at the peak."""
        phase = max(self.sampling, self.learning, key=lambda parts: sum(parts.values()))
        return {**self.held, **phase}

    @property
    def peak(self) -> int:
        """Bytes at the peak."""
        return sum(self.parts.values())


def activations(shape: ModelShape, compute: Compute, rows: int, length: int) -> int:
    """Return the bytes that a forward pass over (rows, length) tokens keeps for the gradients.

    A layer keeps the normalised states of its two norms and what its products read: the states, queries, keys, values,
    the mixed values, and four vectors inside the MLP. Plain attention keeps the weights of all pairs of tokens, too.
    """
    tokens, number = rows * length, compute.number
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    norms = 2 * shape.width * (FULL + number)
    attention = number * (2 * queries + 2 * keys)
    scores = 0 if compute.fused else shape.heads * length * (number if number == FULL else FULL + number)
    inside = 4 * shape.inner * number
    layer = tokens * (norms + attention + scores + inside)
    if compute.checkpointing:
        return shape.layers * tokens * shape.width * FULL + layer
    return shape.layers * layer + tokens * shape.width * (FULL + number)


def cast_weights(shape: ModelShape, compute: Compute, head: int = 0) -> int:
    """Return the bytes of the weights that products in bfloat16 keep cast until the gradients are computed.

    `head` are those of an output head that is such a product. Layers of 4 bits keep none.
    """
    if compute.adapter is not None and compute.adapter.four_bits:
        return HALF * head if compute.half else 0
    return HALF * (shape.parameters - shape.embeddings + head) if compute.half else 0


def logits(tokens: int, shape: ModelShape, compute: Compute, limit: int) -> int:
    """Return the bytes of the logits of so many tokens with what the loss makes of them; of at most `limit` bytes.

    Those in bfloat16, and their gradient, are there beside those in single precision.
    """
    copies = LOGIT_COPIES + 1 if compute.half else LOGIT_COPIES
    return copies * min(FULL * tokens * shape.vocabulary, limit)


def tiled_logits(tokens: int, shape: ModelShape, compute: Compute) -> int:
    """Return the same for TRL's loss, which reads the logits of so many tokens tile by tile."""
    tile = FULL * min(tokens, TILE_TOKENS) * min(shape.vocabulary, TILE_WORDS)
    return (TILE_COPIES_FUSED if compute.fused else TILE_COPIES) * tile


def cache(shape: ModelShape, tokens: int, number: int) -> int:
    """Return the bytes of the keys and values of so many tokens."""
    return 2 * shape.layers * shape.key_heads * shape.head_width * tokens * number


def training(
    stage: str, shape: ModelShape, compute: Compute, *, rows: int, length: int, copies: int, of_words: bool
) -> StageMemory:
    """Return what a training needs, with `copies` more sets of weights that lie beside it where all are trained.

    `rows` are sequences on the device at a time; a loss `of_words` has logits, one of scores has none.
    """
    each, trained = FULL * shape.parameters, compute.weights_trained(shape)
    held = {"weights": compute.weights_held(shape), "optimiser": OF_ADAM * trained}
    if copies and compute.adapter is None:
        held["other weights"] = copies * each
    learning = {
        "gradients": FULL * trained,
        "activations": activations(shape, compute, rows, length) + cast_weights(shape, compute),
        "logits": tiled_logits(rows * length, shape, compute) if of_words else 0,
    }
    return StageMemory(stage, held, {}, {name: size for name, size in learning.items() if size})


@dataclass(frozen=True)
class Rollout:
    """What RL samples and learns from: `rows` replies of `reply` tokens, `length` with their prompts, at a time.

    `sampled_rows` are sampled at a time; there are at most `logit_bytes` of logits; `snapshots` sets of weights lie on
    the same device. `judged`: the labeller scores replies, in the place of a preference model. `on_backbone`: the
    preference model is read on the policy's backbone. `by_vllm`: replies are sampled from weights of their own in
    bfloat16, with at least a cache for these rows.
    """

    rows: int
    length: int
    reply: int
    sampled_rows: int
    logit_bytes: int
    snapshots: int
    judged: bool = False
    on_backbone: bool = False
    by_vllm: bool = False


def reinforcement(stage: str, shape: ModelShape, compute: Compute, rollout: Rollout) -> StageMemory:
    """Return what RL needs: policy, reference, who scores, and the larger of two phases.

    Where an adapter is trained, the policy without it is the reference. A labeller is taken to be as large as the
    policy, on the same device and in the precision of the products. A preference model on the policy's backbone is two
    adapters more: its own, and the one that the policy starts from.
    """
    each, trained = FULL * shape.parameters, compute.weights_trained(shape)
    scorer = {"labeller": compute.number * shape.parameters} if rollout.judged else {"preference model": each}
    if rollout.on_backbone:
        scorer = {"preference model": 2 * FULL * trained}
    held = {"weights": compute.weights_held(shape), "optimiser": OF_ADAM * trained, **scorer}
    held |= {"reference": each} if compute.adapter is None else {}
    held |= {"snapshots": rollout.snapshots * FULL * trained} if rollout.snapshots else {}
    sampling = {
        "KV cache": cache(shape, rollout.sampled_rows * rollout.length, compute.number),
        "logits": LOGIT_COPIES * FULL * rollout.sampled_rows * shape.vocabulary,
    }
    if rollout.by_vllm:
        sampling["weights of vLLM"] = HALF * shape.parameters
    learning = {
        "gradients": FULL * trained,
        "activations": activations(shape, compute, rollout.rows, rollout.length)
        + cast_weights(shape, compute, head=shape.embeddings),
        "logits": logits(rollout.rows * rollout.reply, shape, compute, rollout.logit_bytes),
    }
    return StageMemory(stage, held, sampling, learning)


def answering(stage: str, shape: ModelShape, number: int, *, tokens: int, rows: int) -> StageMemory:
    """Return what an engine needs: weights of so many bytes a number, and a batch of `tokens`, in so many rows."""
    sampling = {
        "KV cache": cache(shape, tokens, number),
        "logits": LOGIT_COPIES * FULL * rows * shape.vocabulary,
    }
    return StageMemory(stage, {"weights": number * shape.parameters}, sampling, {})


def told(size: float) -> str:
    """Write bytes for people: `131 GB`."""
    return f"{size / 1e9:.3g} GB"
