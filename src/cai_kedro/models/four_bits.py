"""A backbone of 4 bits (QLoRA, Dettmers et al. 2023): its linear layers as bitsandbytes holds them (extra `gpu`).

Imported where such a backbone is made or looked into, and by nothing else. Scales are not quantised a second time, so
a weight takes 0.5625 bytes.
"""

import bitsandbytes
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import Tensor, nn
from transformers import PreTrainedModel

from cai_kedro.engines.nf4 import BLOCK, NF4, linear_layers, rounded
from cai_kedro.models.weights import put_layer


class FourBitLinear(bitsandbytes.nn.Linear4bit):
    """A linear layer of 4 bits that computes in the precision of the moment, as `nn.Linear` does under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x Wᵀ + b: (…, inputs) to (…, outputs)."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        self.compute_dtype = x.dtype
        return super().forward(x)

    @classmethod
    def of(cls, layer: nn.Linear) -> "FourBitLinear":
        """Return a layer with the weights of this one, on its device."""
        made = cls(layer.in_features, layer.out_features, layer.bias is not None, quant_type=NF4, device="meta")
        made.weight = bitsandbytes.nn.Params4bit(
            # our own rounding, which its own leaves as it is: so who reads the adapter later computes with the same
            rounded(layer.weight.data),
            requires_grad=False,
            blocksize=BLOCK,
            compress_statistics=False,
            quant_type=NF4,
        ).to(layer.weight.device)
        made.bias = layer.bias
        made.compute_type_is_set = True
        # what it packs for a CPU when it reads without gradients has no gradients afterwards, and nobody says so
        made.support_avx512bf16_for_cpu = False
        return made.train(layer.training)

    def whole(self) -> nn.Linear:
        """Return a layer in single precision that computes the same."""
        made = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        made.weight = nn.Parameter(dequantize_4bit(self.weight.data, self.weight.quant_state).float())
        if self.bias is not None:
            made.bias = self.bias
        return made.train(self.training)


def quantise(model: PreTrainedModel) -> None:
    """Hold the linear layers of the trunk in 4 bits, in place; one after another, so there is no second copy."""
    for name in linear_layers(model):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        put_layer(model, name, FourBitLinear.of(layer))
