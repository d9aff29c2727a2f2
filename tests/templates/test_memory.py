"""What trainings need by the arithmetic, what is refused, and how near the arithmetic comes to a real peak."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from benchmarks.memory import in_child
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from transformers import LlamaConfig, LlamaForCausalLM

from cai_kedro.core.model_shape import ModelShape
from cai_kedro.engines.model_shape import shape_of
from cai_kedro.metrics.memory import StageMemory
from cai_kedro.templates.memory import engine_memory, memory_faults, needs_of, vllm_fault
from tests.project_copy import PROJECT

GIGA = 10**9
LLAMA_8B = LlamaConfig(
    vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
    num_key_value_heads=8, tie_word_embeddings=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    bootstrap_project(PROJECT)
    return dict(KedroSession.create(PROJECT, env="base").load_context().params)


@pytest.fixture(scope="module")
def shape() -> ModelShape:
    return shape_of(LLAMA_8B)


def test_the_shape_of_a_config(shape: ModelShape) -> None:
    assert (shape.parameters, shape.embeddings) == (8_030_261_248, 128256 * 4096)
    assert (shape.layers, shape.head_width, shape.key_heads, shape.vocabulary) == (32, 128, 8, 128256)


def test_each_training_of_the_lineage_needs_memory(parameters: dict[str, Any], shape: ModelShape) -> None:
    needs = {need.memory.stage: need for need in needs_of(parameters, shape)}
    assert next(iter(needs)) == "fine-tuning"
    assert {"the preference model of rl_cai", "ppo of rl_cai"} < set(needs)
    ppo = needs["ppo of rl_cai"].memory
    # policy, reference, preference model and gradients of 4 bytes a weight, Adam of 8
    fixed = sum(ppo.parts[name] for name in ("weights", "reference", "preference model", "gradients", "optimiser"))
    assert fixed == 24 * shape.parameters
    assert ppo.peak == sum(ppo.parts.values()) > fixed
    assert needs["fine-tuning"].memory.peak > 16 * shape.parameters


def test_what_does_not_fit_is_one_sentence(parameters: dict[str, Any], shape: ModelShape) -> None:
    nodes = {"sl_cai.fine_tune", "rl_cai.reinforce"}
    told = list(memory_faults(parameters, shape, lambda device: 80 * GIGA, nodes))
    assert len(told) == 2
    assert told[0].startswith("fine-tuning of 8B parameters needs ")
    assert "the memory has 80 GB: take a smaller base model, or a device with more memory" in told[0]
    assert told[1].startswith("ppo of rl_cai of 8B parameters needs ")
    assert "; with training.adapter=qlora it needs " in told[1]
    roomy = max(need.memory.peak for need in needs_of(parameters, shape))
    assert list(memory_faults(parameters, shape, lambda device: roomy, nodes)) == []
    assert list(memory_faults(parameters, shape, lambda device: None, nodes)) == []
    assert list(memory_faults(parameters, shape, lambda device: GIGA, {"evaluation.answer"})) == []
    (ppo,) = (need.memory for need in needs_of(parameters, shape) if need.node == "rl_cai.reinforce")
    (fault,) = memory_faults(parameters, shape, lambda device: ppo.peak - 1, {"rl_cai.reinforce"})
    assert "lower rlhf.rl.ppo.device_batch_size (64 at a time now) or rlhf.rl.ppo.max_new_tokens (48)" in fault


def test_an_adapter_alone_has_gradients_and_an_optimiser(parameters: dict[str, Any], shape: ModelShape) -> None:
    change = parameters["training"].model_copy(update={"adapter": "lora"})
    for need in needs_of({**parameters, "training": change}, shape):
        parts, trained = need.memory.parts, shape.adapter_parameters(change.lora.rank)
        assert (parts["gradients"], parts["optimiser"]) == (4 * trained, 8 * trained)
        assert not {"reference", "other weights"} & set(parts)
    small = LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=99)
    model = LlamaForCausalLM(small)
    trunk = [module for module in model.model.modules() if isinstance(module, torch.nn.Linear)]
    assert shape_of(small).adapter_parameters(3) == sum(3 * sum(layer.weight.shape) for layer in trunk)


def test_on_a_card_the_preference_model_is_read_on_the_backbone_of_the_policy(
    parameters: dict[str, Any], shape: ModelShape
) -> None:
    """Of 8 billion weights policy and preference model would fill a card of 80 GB nearly."""

    def arm(device: str, **changed: Any) -> StageMemory:
        block = parameters["rlhf"] if isinstance(parameters["rlhf"], dict) else parameters["rlhf"].model_dump()
        block = copy.deepcopy(block)
        block["rl"]["ppo"]["device"] = device
        given = {**parameters, "rlhf": block, **changed}
        given["training"] = parameters["training"].model_copy(update={"adapter": "lora"})
        return next(need.memory for need in needs_of(given, shape) if need.node == "rl_cai.reinforce")

    adapter = 4 * shape.adapter_parameters(parameters["training"].lora.rank)
    assert arm("cuda").held["preference model"] == 2 * adapter
    assert arm("cpu").held["preference model"] == 4 * shape.parameters  # there it was read before
    assert sum(arm("cuda").held.values()) < 34 * GIGA
    lineage = copy.deepcopy(parameters["lineage"])
    lineage["policies"]["mine"] = {"given": "data/other"}
    lineage["policies"]["rl_cai"]["start"] = "mine"
    assert arm("cuda", lineage=lineage).held["preference model"] == 4 * shape.parameters


def test_a_backbone_of_4_bits_is_smaller(parameters: dict[str, Any], shape: ModelShape) -> None:
    # q, k, v, o and three of the MLP, in 32 layers of the config
    linear = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert shape.linear_parameters == linear
    lora, qlora = (
        {
            need.memory.stage: need.memory
            for need in needs_of(
                {**parameters, "training": parameters["training"].model_copy(update={"adapter": a})}, shape
            )
        }
        for a in ("lora", "qlora")
    )
    for stage, memory in qlora.items():
        # half a byte, and a scale of four bytes for 64 weights
        assert memory.held["weights"] == 4 * (shape.parameters - linear) + linear * 9 // 16
        assert memory.held["optimiser"] == lora[stage].held["optimiser"]
        assert memory.peak < lora[stage].peak
    assert qlora["fine-tuning"].held["weights"] == pytest.approx(8.13 * GIGA, rel=0.01)


def test_the_adapter_that_fits_is_named(parameters: dict[str, Any], shape: ModelShape) -> None:
    def told(room: int, adapter: str) -> str:
        change = parameters["training"].model_copy(update={"adapter": adapter})
        (fault,) = memory_faults({**parameters, "training": change}, shape, lambda _: room, {"sl_cai.fine_tune"})
        return fault.rpartition("; ")[2]

    change = parameters["training"].model_copy(update={"adapter": "lora"})
    lora = next(needs_of({**parameters, "training": change}, shape)).memory.peak
    assert told(lora, "none").startswith("with training.adapter=lora it needs ")
    assert told(lora - 1, "none").startswith("with training.adapter=qlora it needs ")
    assert told(lora - 1, "lora").startswith("with training.adapter=qlora it needs ")
    assert "training.adapter" not in told(GIGA, "qlora")


def test_smaller_parts_need_less(parameters: dict[str, Any], shape: ModelShape) -> None:
    smaller = replace(shape, layers=shape.layers // 2)
    for need, less in zip(needs_of(parameters, shape), needs_of(parameters, smaller), strict=True):
        assert less.memory.parts["activations"] < need.memory.parts["activations"]
        assert less.memory.parts["weights"] == need.memory.parts["weights"]


def test_engines_hold_a_cache_of_their_largest_batch(shape: ModelShape) -> None:
    local = {"kind": "transformers", "device": "cpu", "dtype": "bfloat16", "max_batch_tokens": 32768}
    memory = engine_memory(local, shape)
    assert memory is not None
    assert memory.held == {"weights": 2 * shape.parameters}
    # keys and values of 8 heads of 128 numbers in 32 layers
    assert memory.parts["KV cache"] == 2 * 32 * 8 * 128 * 32768 * 2
    assert memory.parts["logits"] == 3 * 4 * (32768 // 256) * 128256
    single = engine_memory({**local, "dtype": "float32"}, shape)
    assert single is not None
    assert single.parts["KV cache"] == 2 * memory.parts["KV cache"]
    assert engine_memory({"kind": "server", "model": "m"}, shape) is None


def test_what_vllm_s_share_does_not_hold_is_told(shape: ModelShape) -> None:
    vllm = {"kind": "vllm", "dtype": "bfloat16", "gpu_memory_utilization": 0.5, "max_model_len": 4096}
    memory = engine_memory(vllm, shape)
    assert memory is not None
    assert vllm_fault(vllm, shape, 2 * memory.peak) is vllm_fault(vllm, shape, None) is None
    fault = vllm_fault(vllm, shape, 2 * memory.peak - 2)
    assert fault is not None
    assert fault.startswith("vLLM on 8B parameters needs 16.6 GB (16.1 GB weights, 0.537 GB KV cache, ")
    assert "max_model_len=4096, and its share of 0.5 of the card is 16.6 GB: raise gpu_memory_utilization" in fault


def test_the_arithmetic_is_near_a_real_peak() -> None:
    """In short; `benchmarks/memory.py` measures every training."""
    jobs = [("preference_model", size, "float32") for size in ("least", "small")]
    for found in in_child(jobs):
        assert found["predicted"] == pytest.approx(found["measured"], rel=0.15), found
