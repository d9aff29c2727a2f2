"""Where, and in what precision, this machine computes best."""

from typing import Any, Literal

import torch
from pydantic import BeforeValidator

DType = Literal["auto", "float32", "bfloat16"]


def resolve_device(device: Any) -> Any:
    """Return the device that `auto` stands for, a GPU of CUDA where there is one, else the CPU; any other as it is.

    Apple's `mps` has to be named: nothing was tried on it.
    """
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


#: In front of a field's type: the field then holds a device that is there, never `auto`.
AUTO_DEVICE = BeforeValidator(resolve_device)


def resolve_dtype(dtype: DType, device: str) -> Literal["float32", "bfloat16"]:
    """Return the precision that `dtype` stands for: `auto` is bfloat16 where the device multiplies it natively.

    A CPU without bfloat16 products emulates them, which is slower than float32.
    """
    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    can = torch.cpu.get_capabilities()
    return "bfloat16" if can.get("avx512_bf16") or can.get("amx_bf16") else "float32"
