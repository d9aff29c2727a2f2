"""Whether the labeller can judge, asked before it does."""

from kedro.pipeline import Node

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.lineage import Lineage
from cai_kedro.engines.base import TextEngine
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.role_check import Setting
from cai_kedro.pipelines.preference_labeling.labels import LabelParams
from cai_kedro.templates.role_check import LABELLER_CHECK, RoleCheckParams, admit, other_numbers, try_labeller


def check_labeller(
    constitution: Constitution, engine: TextEngine, params: LabelParams, check: RoleCheckParams, seed: int
) -> dict[str, Estimate]:
    """Let the labeller compare clear pairs as the run does; return figures, or raise `ValueError` below the bar."""

    def tried(few_shots: int) -> Setting:
        figures, verdict = try_labeller(engine, constitution, few_shots, params.both_orders, check, seed)
        return Setting(f"preference_labeling.labels.few_shots={few_shots}", figures["accuracy"], verdict.passed)

    figures, verdict = try_labeller(engine, constitution, params.few_shots, params.both_orders, check, seed)
    numbers = other_numbers(params.few_shots, len(constitution.few_shots.comparisons))
    return admit("labeller", figures, verdict, check, [] if verdict.passed else map(tried, numbers))


def check_node(lineage: Lineage) -> Node:
    """Return the node of the check."""
    return Node(
        check_labeller,
        inputs={
            "constitution": "constitution",
            "engine": lineage.engine_of("labeller"),
            "params": "params:preference_labeling.labels",
            "check": "params:check_labeller",
            "seed": "params:seed",
        },
        outputs=LABELLER_CHECK,
        name="check_labeller",
        tags="check",
    )
