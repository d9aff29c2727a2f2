"""Whether vLLM can draw the replies that a run's policies learn from, where their parameters say so."""

from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from cai_kedro.core.lineage import Lineage
from cai_kedro.learning.rl import AlgorithmParams
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of

#: Nodes of an arm that draw replies.
_DRAW = ("reinforce", "measure_snapshots")


def sampler_faults(parameters: Mapping[str, Any], nodes: Collection[str]) -> Iterator[str]:
    """Tell once what keeps vLLM from drawing replies at one of these nodes."""
    lineage = Lineage.model_validate(parameters["lineage"])
    settings = RLHFParams.model_validate(parameters["rlhf"])
    training = parameters["training"]
    processes = (training if isinstance(training, Mapping) else training.model_dump())["processes"]
    faults: dict[str, None] = {}
    for name in lineage.arms:
        arm = ArmParams.of(name, lineage)
        if any(f"{name}.{node}" in nodes for node in _DRAW):
            faults |= dict.fromkeys(_faults(arm.algorithm, parameters_of(arm, settings).rl, processes))
    yield from faults


def _faults(algorithm: str, params: AlgorithmParams, processes: int) -> Iterator[str]:
    where = f"rlhf.rl.{algorithm}.sampler is vLLM"
    if params.sampler is None:
        return
    if find_spec("vllm") is None:
        yield f"{where}, which needs the package 'vllm': pip install -e '.[gpu]'; or set it to null"
    if params.device != "cuda":
        yield f"{where}, which samples on a GPU, and the training's device is {params.device}; set it to null"
    if processes > 1:
        yield f"{where}, which samples in one process; set it to null, or training.processes to 1"
    if params.sampler.max_model_len <= params.max_new_tokens + 1:
        yield (
            f"{where}, and its max_model_len of {params.sampler.max_model_len} has no room for a prompt and "
            f"max_new_tokens={params.max_new_tokens}; raise it"
        )
