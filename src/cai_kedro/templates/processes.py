"""Whether the trainings of a run can run on as many processes as its parameters ask for."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cai_kedro.core.lineage import Lineage
from cai_kedro.learning.processes import Processes, SharedParams
from cai_kedro.learning.rl import AlgorithmParams
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of


def process_faults(parameters: Mapping[str, Any], nodes: Collection[str]) -> Iterator[str]:
    """Tell once what keeps a training among these nodes from running on `training.processes`."""
    shared = SharedParams.model_validate(_plain(parameters["training"])).shared
    if shared.processes == 1 and shared.sharding == "none":
        return
    yield from dict.fromkeys(_faults(parameters, nodes, shared))


def _faults(parameters: Mapping[str, Any], nodes: Collection[str], shared: Processes) -> Iterator[str]:
    for node, path in (("sl_cai.fine_tune", "sl_cai.fine_tuning"), ("score_harmfulness", "harmfulness.training")):
        block, _, name = path.partition(".")
        if any(each == node or each.endswith(f".{node}") for each in nodes):
            yield from shared.faults(TrainingParams.model_validate(_plain(parameters[block])[name]), path)
    lineage = Lineage.model_validate(parameters["lineage"])
    settings = RLHFParams.model_validate(parameters["rlhf"])
    for name in lineage.arms:
        arm = ArmParams.of(name, lineage)
        params = parameters_of(arm, settings)
        if f"{name}.fit_preference_model" in nodes:
            yield from shared.faults(params.preference, "rlhf.preference")
        if {f"{name}.learn_from_comparisons", f"{name}.reinforce"} & set(nodes):
            yield from _of_algorithm(arm, params.rl, shared)


def _of_algorithm(arm: ArmParams, params: AlgorithmParams, shared: Processes) -> Iterator[str]:
    learns = f"the policy {arm.name!r} learns by {arm.algorithm}"
    apart = "set training.processes to 1, and make the other trainings in a run of their own (--pipelines, --to-nodes)"
    if not params.shares_batches:
        yield f"{learns}, which trains on one process; take ppo or dpo, or {apart}"
    elif arm.teacher == "judge":
        yield f"{learns} against the labeller, which rewards in one process; take a preference model, or {apart}"
    elif shared.sharding == "fsdp":
        yield f"{learns}, which reads with whole models; set training.sharding to none"
    else:
        yield from shared.faults(params, f"rlhf.rl.{arm.algorithm}")


def _plain(block: Any) -> Any:
    return block if isinstance(block, Mapping) else block.model_dump()
