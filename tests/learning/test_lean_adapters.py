"""Lean adapters give what peft's layers give, gradients included, and are taken off again."""

import pytest
import torch
from torch import Tensor

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.lean_adapters import LowRank, lean_adapters
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for
from cai_kedro.models.adapters import AdapterParams, as_it_came, prepared, targets_of, upper_layers

IDS = torch.tensor([[1, 20, 30, 40, 50], [1, 60, 70, 80, 90]])


def test_the_gradients_are_right() -> None:
    torch.manual_seed(0)
    x, weight, bias, down, up = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=trained)
        for shape, trained in (((2, 3, 5), True), ((4, 5), False), ((4,), False), ((2, 5), True), ((4, 2), True))
    )
    expected = x @ weight.T + bias + 3.0 * (x @ down.T) @ up.T
    assert torch.allclose(LowRank.apply(x, weight, bias, down, up, 3.0), expected)
    assert torch.autograd.gradcheck(lambda x, a, b: LowRank.apply(x, weight, bias, a, b, 3.0), (x, down, up))


@pytest.fixture
def adapted(tiny_lm: LanguageModel) -> LanguageModel:
    """An adapter on the last block, with weights that change something."""
    params = AdapterParams(adapter="lora", lora={"rank": 4, "alpha": 8.0, "targets": None})
    targets = list(upper_layers(targets_of(tiny_lm.model, params.lora), 1))
    lora = params.lora.model_copy(update={"targets": targets})
    lm = prepared(tiny_lm, params.model_copy(update={"lora": lora}), 0)
    torch.manual_seed(1)
    for name, weights in lm.model.named_parameters():
        if ".lora_B." in name:
            weights.data.normal_(std=0.1)
    return lm


def read(lm: LanguageModel, bfloat16: bool) -> list[Tensor]:
    """Return the logits, and the gradients of the adapter."""
    lm.model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = lm.model(input_ids=IDS).logits.float()
    logits.log_softmax(-1)[..., 5].sum().backward()
    trained = [weights for weights in lm.model.parameters() if weights.requires_grad]
    return [logits.detach(), *(weights.grad.clone() for weights in trained if weights.grad is not None)]


def distance(left: list[Tensor], right: list[Tensor]) -> float:
    """Return the largest relative distance."""
    assert len(left) == len(right)
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(left, right, strict=True))


def test_a_model_reads_and_learns_as_with_peft(adapted: LanguageModel) -> None:
    exact = read(adapted, bfloat16=False)
    assert len(exact) == 1 + 2 * 7  # seven layers of one block
    with lean_adapters(adapted.model):
        assert distance(read(adapted, bfloat16=False), exact) < 1e-5
        assert 0 < distance(read(adapted, bfloat16=True), exact) < 0.1


def test_the_adapter_can_be_turned_off(adapted: LanguageModel) -> None:
    with as_it_came(adapted.model):
        plain = adapted.model(input_ids=IDS).logits
        with lean_adapters(adapted.model):
            assert torch.allclose(adapted.model(input_ids=IDS).logits, plain, atol=1e-6)
    assert not torch.allclose(adapted.model(input_ids=IDS).logits, plain, atol=1e-3)


def test_layers_are_given_back(adapted: LanguageModel) -> None:
    with lean_adapters(adapted.model):
        assert any("forward" in vars(module) for module in adapted.model.modules())
    assert not any("forward" in vars(module) for module in adapted.model.modules())


def test_twice_is_as_once(adapted: LanguageModel) -> None:
    with lean_adapters(adapted.model):
        once = read(adapted, bfloat16=True)
        with lean_adapters(adapted.model):
            assert distance(read(adapted, bfloat16=True), once) == 0
        assert distance(read(adapted, bfloat16=True), once) == 0


def test_a_model_without_an_adapter_stays_as_it_is(tiny_lm: LanguageModel) -> None:
    tiny_lm.model.requires_grad_(False)
    with lean_adapters(tiny_lm.model):
        assert not any("forward" in vars(module) for module in tiny_lm.model.modules())


def test_every_trainer_on_a_cpu_gets_them(adapted: LanguageModel) -> None:
    for device, lean in (("cpu", True), ("cuda", False)):
        with on_loan(adapted.model, attention_for(device)):
            layers = [module for module in adapted.model.modules() if hasattr(module, "lora_A")]
            assert all(("forward" in vars(layer)) == lean for layer in layers)
    assert not any("forward" in vars(module) for module in adapted.model.modules())
