"""The CPU kernels give what transformers' own code gives, gradients included."""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.cpu_kernels import ATTENTION, RMSNorm, lean_norms

IDS = torch.tensor([[1, 20, 30, 40, 50], [0, 0, 1, 60, 70]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])


def test_the_gradient_of_the_norm_is_right() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, dtype=torch.float64, requires_grad=True)
    plain = functional.rms_norm(x, (5,), weight, 1e-3)
    assert torch.allclose(RMSNorm.apply(x, weight, 1e-3, torch.float64), plain)
    assert torch.autograd.gradcheck(lambda *given: RMSNorm.apply(*given, 1e-3, torch.float64), (x, weight))


def read(lm: LanguageModel, kernel: str, bfloat16: bool) -> list[Tensor]:
    """Return the logits of what is no padding and the gradients of every weight."""
    model = lm.model
    model.set_attn_implementation(kernel)
    model.zero_grad()
    norms = lean_norms(model) if kernel == ATTENTION else nullcontext()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16), norms:
        logits = model(input_ids=IDS, attention_mask=MASK).logits.float()[MASK.bool()]
    logits.log_softmax(-1)[:, 5].sum().backward()
    return [logits.detach(), *(weight.grad.clone() for weight in model.parameters())]


def distance(left: list[Tensor], right: list[Tensor]) -> float:
    """Return the mean of the relative distances."""
    return sum(((a - b).norm() / b.norm()).item() for a, b in zip(left, right, strict=True)) / len(left)


def test_a_model_reads_and_learns_the_same(tiny_lm: LanguageModel) -> None:
    exact = read(tiny_lm, "eager", bfloat16=False)
    assert distance(read(tiny_lm, ATTENTION, bfloat16=False), exact) < 1e-5


def test_in_bfloat16_only_the_rounding_differs(tiny_lm: LanguageModel) -> None:
    exact = read(tiny_lm, "eager", bfloat16=False)
    # transformers' own code is at .02 here; padding on the left must not turn anything into NaN
    assert 0 < distance(read(tiny_lm, ATTENTION, bfloat16=True), exact) < 0.1


def test_norms_are_given_back(tiny_lm: LanguageModel) -> None:
    with lean_norms(tiny_lm.model):
        assert "forward" in vars(tiny_lm.model.model.norm)
    assert "forward" not in vars(tiny_lm.model.model.norm)
