"""Human comparisons of the pretrained model's answers, and the arms that learn from them alone."""

from collections.abc import Mapping, Sequence

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.binding import bind
from cai_kedro.core.comparison_sources import SOURCES
from cai_kedro.core.lineage import Lineage
from cai_kedro.templates import rlhf
from cai_kedro.templates.human_feedback import (
    compare_harmlessness,
    compare_helpfulness,
    plan_human_pairs_by,
    recorded_pairs,
)
from cai_kedro.templates.training_prompts import training_prompts

#: What people say of a pair, by the comparisons that come of it.
_COMPARE = {
    "human_helpfulness": compare_helpfulness,
    "human_red_team_helpfulness": compare_helpfulness,
    "human_harmlessness": compare_harmlessness,
}


def create_pipeline(lineage: Lineage) -> Pipeline:
    """Have people compare the pretrained model's answers to given prompts, and train the arms that need no other stage.

    Helpful RLHF is rated on red-team prompts too: an assistant that only wants to help complies there. Only what an arm
    learns from is made.
    """
    tables = {source: table for source, table in lineage.tables_by("people").items() if source in _COMPARE}
    pairs = {SOURCES[source].pairs for source in tables}
    compared = [kind for kind in ("helpful", "red_team") if f"human_{kind}_pairs" in pairs]
    asked = ("helpful", "red_team") if lineage.baselines else compared
    return Pipeline(
        [*_prompts(asked), *_recorded(compared), *_pairs(compared, lineage), *_labels(tables)],
        namespace="baselines",
        prefix_datasets_with_namespace=False,
    ) + rlhf.arms_pipeline(lineage, lineage.baselines, prompts="baseline_")


def _prompts(kinds: Sequence[str]) -> list[Node]:
    return [
        Node(
            training_prompts,
            inputs={
                "given": f"given_{kind}_prompts",
                "held_out": f"eval_{kind}_prompts",
                "held_out_phrases": "held_out_phrases",
            },
            outputs=f"baseline_{kind}_prompts",
            name=f"clean_{kind}_prompts",
        )
        for kind in kinds
    ]


def _recorded(kinds: Sequence[str]) -> list[Node]:
    return [
        Node(
            recorded_pairs,
            inputs={"prompts": f"baseline_{kind}_prompts", "human_raters": "human_raters"},
            outputs=f"recorded_{kind}_pairs",
            name=f"gather_recorded_{kind}_pairs",
            tags="human_feedback",
        )
        for kind in kinds
    ]


def _pairs(kinds: Sequence[str], lineage: Lineage) -> list[Node]:
    return [
        Node(
            bind(plan_human_pairs_by, policy=lineage.base),
            inputs={
                "prompts": f"baseline_{kind}_prompts",
                "recorded": f"recorded_{kind}_pairs",
                "engine": f"{lineage.model_of(lineage.base)}@engine",
                "params": f"params:baselines.human_{kind}_pairs",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs=f"human_{kind}_pairs",
            name=f"sample_human_{kind}_pairs",
            tags="sampling",
        )
        for kind in kinds
    ]


def _labels(tables: Mapping[str, str]) -> list[Node]:
    return [
        Node(
            _COMPARE[source],
            inputs=[SOURCES[source].pairs, "human_raters", "params:seed"],
            outputs=table,
            name=f"compare_{source}",
            tags="human_feedback",
        )
        for source, table in tables.items()
    ]
