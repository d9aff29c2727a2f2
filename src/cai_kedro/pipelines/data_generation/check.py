"""Whether the critic can criticise, asked before it does."""

from kedro.pipeline import Node

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.lineage import Lineage
from cai_kedro.engines.base import TextEngine
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.role_check import Setting
from cai_kedro.pipelines.data_generation.revision import RevisionParams
from cai_kedro.templates.role_check import RoleCheckParams, admit, other_numbers, try_critic

#: The figures of the check in the catalog.
CHECK = "critic_check_metrics"


def check_critic(
    constitution: Constitution, critic: TextEngine, params: RevisionParams, check: RoleCheckParams, seed: int
) -> dict[str, Estimate]:
    """Let the critic criticise clear cases as the run does; return figures, or raise `ValueError` below the bar."""

    def tried(few_shots: int) -> Setting:
        figures, verdict = try_critic(critic, constitution, few_shots, params.sampling, check, seed)
        return Setting(f"data_generation.revision.few_shots={few_shots}", figures["naming"], verdict.passed)

    figures, verdict = try_critic(critic, constitution, params.few_shots, params.sampling, check, seed)
    numbers = other_numbers(params.few_shots, len(constitution.few_shots.critiques))
    return admit("critic", figures, verdict, check, [] if verdict.passed else map(tried, numbers))


def check_node(lineage: Lineage) -> Node:
    """Return the node of the check."""
    return Node(
        check_critic,
        inputs={
            "constitution": "constitution",
            "critic": lineage.engine_of("critic"),
            "params": "params:data_generation.revision",
            "check": "params:check_labeller",
            "seed": "params:seed",
        },
        outputs=CHECK,
        name="check_critic",
        tags="check",
    )
