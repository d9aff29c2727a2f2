"""How much memory each training of a run needs by its parameters, and which of them do not fit their device.

Weights are in single precision, but for those of a backbone of 4 bits. Where an adapter is trained, it alone has
gradients and an optimiser.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.core.model_shape import ModelShape
from cai_kedro.engines.precision import DType, resolve_dtype
from cai_kedro.learning.processes import SharedParams
from cai_kedro.learning.rl import AlgorithmParams
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.rl_params import RolloutParams
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.learning.value_head import LOGIT_BYTES
from cai_kedro.metrics.memory import (
    FULL,
    HALF,
    Compute,
    OnBackbone,
    Rollout,
    StageMemory,
    answering,
    reinforcement,
    told,
    training,
)
from cai_kedro.models.adapters import AdapterParams
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of

#: Tokens that a prompt of RL is taken to have: the real ones are known only when they are made.
PROMPT_TOKENS = 256

BILLION = 1e9
_SMALLER = "take a smaller base model, or a device with more memory"

#: What of a model may be trained in the place of what is asked for, the plainest first.
_SMALLER_ADAPTERS = {"none": ("lora", "qlora"), "lora": ("qlora",), "qlora": ()}

#: The nodes that train in SELF-ALIGN.
_STAGE_NODES = {ENGRAVING: "engraving.engrave", CLONING: "cloning.clone"}


@dataclass(frozen=True)
class Need:
    """What a training needs, on which device, at which node of the pipeline, and what to lower."""

    memory: StageMemory
    device: str
    node: str
    lower: str


def needs_of(parameters: Mapping[str, Any], shape: ModelShape, on_request: bool = False) -> Iterator[Need]:
    """Yield what each training of the lineage needs by the parameters of a run, for a base model of this shape.

    `on_request`: those of SELF-ALIGN, too, whose policies are not enabled.
    """
    lineage = Lineage.model_validate(parameters["lineage"])
    change = SharedParams.model_validate(_plain(parameters["training"]))
    adapter = adapter_of(change, shape)
    if lineage.supervised is not None:
        block = "sl_cai.fine_tuning"
        tuning = TrainingParams.model_validate(_plain(parameters["sl_cai"]["fine_tuning"]))
        memory = of_fine_tuning("fine-tuning", shape, tuning, adapter)
        yield Need(memory, tuning.device, "sl_cai.fine_tune", _lower(block, tuning))
    for stage, policy in lineage.self_aligned.items():
        if "self_align" in parameters and (on_request or policy in lineage.present):
            yield _of_stage(stage, _plain(parameters["self_align"])[stage], shape)
    shared = RLHFParams.model_validate(parameters["rlhf"])
    for name in lineage.arms:
        arm = ArmParams.of(name, lineage)
        params = parameters_of(arm, shared)
        if arm.has_preference_model:
            own = params.preference
            memory = of_preference_model(f"the preference model of {name}", shape, own, adapter)
            yield Need(memory, own.device, f"{name}.fit_preference_model", _lower("rlhf.preference", own))
        one = change.adapter == "lora" and arm.has_preference_model and _from_base(lineage, name)
        stage, judged = f"{arm.algorithm} of {name}", arm.teacher == "judge"
        memory = of_arm(stage, shape, params.rl, adapter, judged=judged, one_backbone=one)
        node = f"{name}.{'learn_from_comparisons' if arm.teacher == 'comparisons' else 'reinforce'}"
        yield Need(memory, params.rl.device, node, _lower(f"rlhf.rl.{arm.algorithm}", params.rl))


def _from_base(lineage: Lineage, name: str) -> bool:
    """Tell whether the base model is beneath all adapters of a policy, as it is beneath those of preference models."""
    while (start := lineage.present[name].start) is not None and lineage.present[name].given is None:
        name = start
    return name == lineage.base


def _of_stage(stage: str, params: Any, shape: ModelShape) -> Need:
    """Return what a stage of SELF-ALIGN needs, which has a `training` of its own."""
    block = _plain(params)
    change = AdapterParams.model_validate(_plain(block["training"]))
    tuning = TrainingParams.model_validate(_plain(block["fine_tuning"]))
    adapter = adapter_of(change, shape)
    memory = of_fine_tuning(f"{stage} (SELF-ALIGN)", shape, tuning, adapter)
    return Need(memory, tuning.device, _STAGE_NODES[stage], _lower(f"self_align.{stage}.fine_tuning", tuning))


def memory_faults(
    parameters: Mapping[str, Any], shape: ModelShape, room: Callable[[str], int | None], nodes: set[str]
) -> Iterator[str]:
    """Tell each training among the nodes that cannot fit its device; `room` gives the bytes of one, None if unknown."""
    for need in needs_of(parameters, shape, on_request=True):
        there = room(need.device)
        if need.node in nodes and there is not None and need.memory.peak > there:
            yield fault_of(need, shape, there, _with_adapter(parameters, shape, need.node, there))


def _with_adapter(parameters: Mapping[str, Any], shape: ModelShape, node: str, there: int) -> tuple[str, int] | None:
    """Return the adapter by which the same training fits, or the one that needs least, with its peak; None for none."""
    change = SharedParams.model_validate(_plain(parameters["training"]))
    if node in _STAGE_NODES.values():  # these have a `training` of their own
        return None
    found: list[tuple[str, int]] = []
    for adapter in _SMALLER_ADAPTERS[change.adapter]:
        other = {**parameters, "training": change.model_copy(update={"adapter": adapter})}
        peak = next(need.memory.peak for need in needs_of(other, shape, on_request=True) if need.node == node)
        if peak <= there:
            return adapter, peak
        found.append((adapter, peak))
    return min(found, key=lambda each: each[1], default=None)


def fault_of(need: Need, shape: ModelShape, there: int, with_adapter: tuple[str, int] | None) -> str:
    """Say in one sentence what does not fit, with numbers, and what to set."""
    memory = need.memory
    parts = ", ".join(f"{told(size)} {name}" for name, size in memory.parts.items())
    fixed = sum(size for name, size in memory.parts.items() if name not in ("activations", "logits", "KV cache"))
    what = need.lower if fixed < there else _SMALLER
    if with_adapter is not None:
        what += f"; with training.adapter={with_adapter[0]} it needs {told(with_adapter[1])}"
    return (
        f"{memory.stage} of {shape.parameters / BILLION:.2g}B parameters needs {told(memory.peak)} ({parts}), "
        f"{_room(need.device, there)}: {what}"
    )


def engine_memory(engine: Mapping[str, Any], shape: ModelShape) -> StageMemory | None:
    """Return what an engine of these settings needs for a model of this shape, None where it lies elsewhere.

    Of transformers for the largest batch, of prompts with answers of `PROMPT_TOKENS`; it halves one that does not fit.
    Of vLLM for the longest prompt: it takes its share of the card whatever it needs.
    """
    if engine["kind"] == "transformers":
        number = HALF if resolve_dtype(engine["dtype"], engine["device"]) == "bfloat16" else FULL
        tokens = int(engine["max_batch_tokens"])
        rows = max(1, tokens // PROMPT_TOKENS)
        return answering(f"an engine (transformers, {engine['device']})", shape, number, tokens=tokens, rows=rows)
    if engine["kind"] == "vllm":
        number = HALF if engine["dtype"] == "bfloat16" else FULL
        return answering("an engine (vllm), at least", shape, number, tokens=int(engine["max_model_len"]), rows=1)
    return None


def vllm_fault(engine: Mapping[str, Any], shape: ModelShape, there: int | None) -> str | None:
    """Say in one sentence that vLLM's share of the card does not hold the weights and one prompt of `max_model_len`."""
    memory = engine_memory(engine, shape)
    assert memory is not None
    share = engine["gpu_memory_utilization"]
    if there is None or memory.peak <= share * there:
        return None
    parts = ", ".join(f"{told(size)} {name}" for name, size in memory.parts.items())
    return (
        f"vLLM on {shape.parameters / BILLION:.2g}B parameters needs {told(memory.peak)} ({parts}) for a prompt of "
        f"max_model_len={engine['max_model_len']}, and its share of {share:g} of the card is {told(share * there)}: "
        f"raise gpu_memory_utilization, lower max_model_len, or {_SMALLER}"
    )


def engine_fault(shape: ModelShape, device: str, dtype: DType, there: int | None) -> str | None:
    """Say in one sentence that the weights of an engine alone do not fit; batches that do not are halved by itself."""
    precision = resolve_dtype(dtype, device)
    needed = (HALF if precision == "bfloat16" else FULL) * shape.parameters
    if there is None or needed <= there:
        return None
    what = _SMALLER if precision == "bfloat16" else f"set engine_dtype to bfloat16, or {_SMALLER}"
    return (
        f"an engine on {shape.parameters / BILLION:.2g}B parameters needs {told(needed)} for its weights in "
        f"{precision}, {_room(device, there)}: {what}"
    )


def _room(device: str, there: int) -> str:
    return f"{'the memory' if device == 'cpu' else 'the card'} has {told(there)}"


def adapter_of(change: AdapterParams, shape: ModelShape) -> OnBackbone | None:
    """Return the adapter that a training changes, None where it changes all weights."""
    if change.adapter == "none":
        return None
    return OnBackbone(shape.adapter_parameters(change.lora.rank), four_bits=change.adapter == "qlora")


def compute_of(params: TrainingParams | AlgorithmParams, checkpointing: bool, adapter: OnBackbone | None) -> Compute:
    """Return how a training computes on its device."""
    on_gpu = params.device != "cpu"
    half = resolve_dtype(params.dtype, params.device) == "bfloat16"
    return Compute(half=half, checkpointing=checkpointing and on_gpu, fused=on_gpu, adapter=adapter)


def of_fine_tuning(
    stage: str, shape: ModelShape, params: TrainingParams, adapter: OnBackbone | None = None
) -> StageMemory:
    """Return what fine-tuning needs: the model is trained in place; without an `adapter` all of it."""
    compute = compute_of(params, checkpointing=True, adapter=adapter)
    return _training(stage, shape, compute, params, sequences=1, copies=0, of_words=True)


def of_preference_model(
    stage: str, shape: ModelShape, params: TrainingParams, adapter: OnBackbone | None = None
) -> StageMemory:
    """Return what a preference model needs, which reads two sequences a comparison; on a CPU the base stays beside."""
    beside = int(params.device == "cpu")
    compute = compute_of(params, checkpointing=True, adapter=adapter)
    return _training(stage, shape, compute, params, sequences=2, copies=beside, of_words=False)


def of_arm(
    stage: str,
    shape: ModelShape,
    params: AlgorithmParams,
    adapter: OnBackbone | None = None,
    prompt_tokens: int = PROMPT_TOKENS,
    judged: bool = False,
    one_backbone: bool = False,
) -> StageMemory:
    """Return what an arm's algorithm needs; `judged`: the labeller is its reward.

    `one_backbone`: policy and preference model are adapters on the same model. On a CPU that is read for each of them.
    """
    compute = compute_of(params, checkpointing=False, adapter=adapter)
    if isinstance(params, DPOParams):
        return _training(stage, shape, compute, params, sequences=2, copies=0, of_words=True)
    assert isinstance(params, RolloutParams)
    length = prompt_tokens + params.max_new_tokens
    rollout = Rollout(
        rows=params.rows_at_once,
        length=length,
        reply=params.max_new_tokens,
        sampled_rows=min(params.episodes, max(1, params.max_batch_tokens // length)),
        logit_bytes=LOGIT_BYTES,
        snapshots=(params.rollouts - 1) // params.snapshot_every if params.device == "cpu" else 0,
        judged=judged,
        on_backbone=one_backbone and params.device != "cpu",
        by_vllm=params.sampler is not None,
    )
    return reinforcement(stage, shape, compute, rollout)


def _training(
    stage: str, shape: ModelShape, compute: Compute, params: Any, *, sequences: int, copies: int, of_words: bool
) -> StageMemory:
    rows = sequences * params.rows_at_once
    return training(stage, shape, compute, rows=rows, length=params.max_length, copies=copies, of_words=of_words)


def _lower(block: str, params: Any) -> str:
    """Say which parameters of a block make its parts smaller."""
    longest = "max_length" if isinstance(params, TrainingParams) else "max_new_tokens"
    return (
        f"lower {block}.device_batch_size ({params.rows_at_once} at a time now) or {block}.{longest} "
        f"({getattr(params, longest)})"
    )


def _plain(block: Any) -> Any:
    return block if isinstance(block, Mapping) else block.model_dump()
