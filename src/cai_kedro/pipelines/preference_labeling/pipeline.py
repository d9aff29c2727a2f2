"""The wiring of the preference labels."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.binding import bind
from cai_kedro.core.comparison_sources import LABELLED_HELPFULNESS, SOURCES
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.preference_labeling.check import check_node
from cai_kedro.pipelines.preference_labeling.cot_labels import plan_cot_labels
from cai_kedro.pipelines.preference_labeling.labels import plan_labels
from cai_kedro.templates.human_feedback import compare_helpfulness, plan_human_pairs_by, recorded_pairs
from cai_kedro.templates.pairs import plan_pairs_by
from cai_kedro.templates.role_check import LABELLER_CHECK


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From SL-CAI's answers to AI comparisons of harmlessness and comparisons of helpfulness, as far as an arm learns.

    Nothing is made where no arm learns from it.
    """
    return Pipeline(
        [*_pairs(lineage), *_labels(lineage), *([check_node(lineage)] if _is_checked(lineage) else [])],
        namespace="preference_labeling",
        prefix_datasets_with_namespace=False,
    )


def hard_pairs_pipeline(lineage: Lineage) -> Pipeline:
    """Label the pairs on which the evaluation tests the labeller."""
    return Pipeline(
        [_label(lineage, "hard_pairs", "hard_comparisons", "label_hard_pairs")],
        namespace="preference_labeling",
        prefix_datasets_with_namespace=False,
    )


def check_pipeline(lineage: Lineage) -> Pipeline:
    """Ask the labeller, if there is one, whether it can judge."""
    nodes = [] if lineage.roles.labeller is None else [check_node(lineage)]
    return Pipeline(nodes, namespace="preference_labeling", prefix_datasets_with_namespace=False)


def _pairs(lineage: Lineage) -> list[Node]:
    answering = lineage.revised or lineage.base
    by_people = "sl_helpfulness" in lineage.tables_by("people")
    wanted = {SOURCES[source].pairs for source in lineage.sources}
    made = []
    if by_people:
        made.append(
            Node(
                recorded_pairs,
                inputs={"prompts": "helpful_prompts", "human_raters": "human_raters"},
                outputs="recorded_sl_helpful_pairs",
                name="gather_recorded_sl_helpful_pairs",
                tags="human_feedback",
            )
        )
    recorded = {"recorded": "recorded_sl_helpful_pairs"} if by_people else {}
    return made + [
        Node(
            bind(plan, policy=lineage.stands_for(answering)),
            inputs={
                "prompts": prompts,
                "engine": f"{lineage.model_of(answering)}@engine",
                **recorded,
                "params": f"params:preference_labeling.{pairs}",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs=pairs,
            name=f"sample_{pairs}",
            tags="sampling",
        )
        for plan, prompts, pairs, recorded in (
            (plan_pairs_by, "red_team_prompts", "harmlessness_pairs", {}),
            (plan_human_pairs_by if by_people else plan_pairs_by, "helpful_prompts", "sl_helpful_pairs", recorded),
        )
        if pairs in wanted
    ]


def _is_checked(lineage: Lineage) -> bool:
    return lineage.probe is not None and lineage.asks_labeller


def _labels(lineage: Lineage) -> list[Node]:
    made = {
        "ai_comparisons": lambda: _label(lineage, "harmlessness_pairs", "ai_comparisons", "label_pairs"),
        "ai_cot_comparisons": lambda: Node(
            plan_cot_labels,
            inputs=_inputs("harmlessness_pairs", lineage.engine_of("thinker"), "cot_labels"),
            outputs="ai_cot_comparisons",
            name="label_pairs_with_cot",
            tags="labelling",
        ),
        "sl_helpfulness_comparisons": lambda: Node(
            compare_helpfulness,
            inputs=["sl_helpful_pairs", "human_raters", "params:seed"],
            outputs="sl_helpfulness_comparisons",
            name="compare_sl_helpfulness",
            tags="human_feedback",
        ),
        LABELLED_HELPFULNESS: lambda: _label(
            lineage, "sl_helpful_pairs", LABELLED_HELPFULNESS, "label_helpful_pairs", objective="helpfulness"
        ),
    }
    wanted = {table for arm in lineage.arms for table in lineage.tables_of(arm)}
    return [node() for table, node in made.items() if table in wanted]


def _label(lineage: Lineage, pairs: str, comparisons: str, name: str, **fixed: str) -> Node:
    return Node(
        bind(plan_labels, **fixed) if fixed else plan_labels,
        inputs={
            **_inputs(pairs, lineage.engine_of("labeller"), "labels"),
            **({"check": LABELLER_CHECK} if _is_checked(lineage) else {}),
        },
        outputs=comparisons,
        name=name,
        tags="labelling",
    )


def _inputs(pairs: str, engine: str, params: str) -> dict[str, str]:
    return {
        "pairs": pairs,
        "constitution": "constitution",
        "engine": engine,
        "params": f"params:preference_labeling.{params}",
        "seed": "params:seed",
        "shards": "params:shards",
    }
