"""Weights of 4 bits as QLoRA holds them (Dettmers et al. 2023, §3): what a layer computes with, in single precision.

A training needs bitsandbytes to hold a backbone so (`models.four_bits`). To read what was trained nothing but this is
needed: the same numbers, block by block.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

NF4: Literal["nf4"] = "nf4"
#: Weights that share one scale, their largest magnitude.
BLOCK = 64
#: The sixteen numbers of NormalFloat4 (appendix E): quantiles of a normal distribution, scaled to [-1, 1].
CODES = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def linear_layers(model: PreTrainedModel) -> list[str]:
    """Return the names of the linear layers of the trunk, which are held in 4 bits; the head and embeddings are not."""
    trunk = {id(module) for module in model.base_model.modules()}
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and id(module) in trunk]


def rounded(weights: Tensor) -> Tensor:
    """Return the weights, each the nearest that 4 bits and the scale of its block can say; again rounded, the same.

    Any shape; blocks are cut in the order in which the numbers lie. What is between two codes goes to the lower one.
    """
    flat = weights.float().flatten()
    blocks = nn.functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    codes = torch.tensor(CODES, device=weights.device)
    scales = blocks.abs().amax(1, keepdim=True)
    between = (codes[1:] + codes[:-1]) / 2
    nearest = torch.bucketize(blocks / scales.clamp_min(torch.finfo(torch.float32).tiny), between)
    return (codes[nearest] * scales).flatten()[: len(flat)].view(weights.shape).to(weights.dtype)


@torch.no_grad()
def round_trunk(model: PreTrainedModel) -> None:
    """Put into the linear layers of the trunk what they compute with in 4 bits, in place."""
    for name in linear_layers(model):
        weights = model.get_submodule(name).weight
        assert isinstance(weights, Tensor)
        weights.copy_(rounded(weights))
