"""Floating-point operations of a decoder: what models compute, to compare with what a card can."""

from cai_kedro.core.model_shape import ModelShape

#: Cards by a part of the name that torch gives them → operations a second in bfloat16 without sparsity, bytes a second
#: and bytes of memory, by their data sheets (SXM).
CARDS = {
    "A100": (312e12, 2.039e12, 80e9),
    "H100": (989.4e12, 3.35e12, 80e9),
    "H200": (989.4e12, 4.8e12, 141e9),
}


def layer_weights(shape: ModelShape) -> int:
    """Return the weights of one layer's products: attention, and an MLP with a gate."""
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    return 2 * shape.width * (queries + keys) + 3 * shape.width * shape.inner


def forward_flops(shape: ModelShape, tokens: float, context: float, logits: float) -> float:
    """Return the operations of reading so many tokens that see `context` tokens each, on average.

    A weight is a product and a sum. `logits`: of how many of the tokens the scores of all words are computed.
    """
    products = 2 * shape.layers * layer_weights(shape)
    attention = 4 * shape.layers * shape.heads * shape.head_width * context
    return tokens * (products + attention) + logits * 2 * shape.vocabulary * shape.width


def training_flops(shape: ModelShape, tokens: float, context: float, logits: float, *, whole: bool) -> float:
    """Return the operations of learning from so many tokens: forward, and the gradients of states and of weights.

    Where not the `whole` model learns but an adapter, there are no gradients of its weights; those of the adapter are
    few. What a trainer computes twice to save memory does not count.
    """
    return (3 if whole else 2) * forward_flops(shape, tokens, context, logits)
