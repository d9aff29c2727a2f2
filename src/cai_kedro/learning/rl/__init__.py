"""The algorithms that make a policy, behind one interface. Another one is a file, and its line in `RLParams`."""

import difflib

from pydantic import BaseModel, ConfigDict

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.rl.rloo_grpo import GRPOParams, RLOOParams
from cai_kedro.learning.rl_params import AlgorithmParams, Data, RLResult, check_field
from cai_kedro.models.adapters import check_prepared

__all__ = ["ALGORITHMS", "AlgorithmParams", "Data", "RLParams", "RLResult", "algorithm_of", "check_field", "train"]


class RLParams(BaseModel):
    """The parameters of each algorithm (`rlhf.rl`); the lineage says which one an arm learns by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ppo: PPOParams
    rloo: RLOOParams
    grpo: GRPOParams
    dpo: DPOParams


#: Name in the lineage → its parameters, which know how to train and what they learn from.
ALGORITHMS: dict[str, type[AlgorithmParams]] = {
    name: field.annotation  # type: ignore[misc]
    for name, field in RLParams.model_fields.items()
}


def algorithm_of(name: str) -> type[AlgorithmParams]:
    """Return the parameters' class of an algorithm; raises `ValueError` with those there are for an unknown one."""
    if name not in ALGORITHMS:
        near = difflib.get_close_matches(name, ALGORITHMS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no algorithm {name!r}, only {', '.join(ALGORITHMS)}{hint}")
    return ALGORITHMS[name]


def train(
    start: LanguageModel, data: Data, params: AlgorithmParams, seed: int, processes: Processes = ALONE
) -> RLResult:
    """Train the start policy in place by the algorithm that the parameters are of; what it learns from stays as it is.

    The policy is held to the one that comes. Deterministic for one machine and seed. With `checkpoints`, where the
    parameters have them, an interrupted run of the same models, data, parameters and seed goes on, and ends where it
    would have ended.

    Raises `ValueError` when policy and PM do not share a tokenizer, when there is nothing or too little to learn from,
    when another process writes the same checkpoints, when the algorithm cannot train on so many processes, or at the
    first number that is not finite.
    """
    check_prepared(start)
    if start.adapter is not None and not params.trains_adapters:
        raise ValueError(f"{params.algorithm} trains no adapter; take ppo or dpo, or set training.adapter to none")
    if processes.processes > 1 and not params.shares_batches:
        raise ValueError(f"{params.algorithm} trains on one process; set training.processes to 1, or take ppo or dpo")
    if processes.processes > 1 and params.sampler is not None:
        raise ValueError("vLLM samples in one process; set training.processes to 1, or the algorithm's sampler to null")
    return params.train(start, data, seed, processes)
