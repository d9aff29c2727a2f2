"""The wiring of the data of the supervised stage."""

from typing import get_args

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.axes import Axes, TrainingPrompts
from cai_kedro.core.binding import bind
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.data_generation.check import CHECK, check_node
from cai_kedro.pipelines.data_generation.prompt_tables import gather_held_out, gather_red_team_prompts
from cai_kedro.pipelines.data_generation.red_team import plan_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import critique_and_revise, plan_of, revise_directly
from cai_kedro.templates.responses import plan_responses_by
from cai_kedro.templates.training_prompts import training_prompts


def create_pipeline(lineage: Lineage, axes: Axes) -> Pipeline:
    """From the given prompts to revisions and helpful answers, by who plays red_teamer, assistant and critic."""
    return Pipeline(
        [
            *_held_out(axes),
            *_prompts(lineage.engine_of("red_teamer"), axes),
            *_answers(lineage),
            *_revisions(lineage.engine_of("critic"), {"check": CHECK} if lineage.probe else {}),
            *([check_node(lineage)] if lineage.probe else []),
        ],
        namespace="data_generation",
        prefix_datasets_with_namespace=False,
    )


def check_pipeline(lineage: Lineage) -> Pipeline:
    """Ask the critic whether it can criticise."""
    return Pipeline([check_node(lineage)], namespace="data_generation", prefix_datasets_with_namespace=False)


def _held_out(axes: Axes) -> list[Node]:
    """Put held-out prompts of several axes together, where training prompts are kept apart from more than one table."""
    return [
        Node(gather_held_out, inputs=tables, outputs=_held_out_table(axes, kind), name=f"gather_held_out_{kind}")
        for kind in get_args(TrainingPrompts)
        if len(tables := axes.held_out_of(kind)) > 1
    ]


def _held_out_table(axes: Axes, kind: TrainingPrompts) -> str:
    table, *more = axes.held_out_of(kind)
    return f"held_out_{kind}_prompts" if more else table


def _prompts(red_teamer: str, axes: Axes) -> list[Node]:
    return [
        Node(
            plan_red_team_prompts,
            inputs={
                "given": "given_red_team_prompts",
                "held_out": _held_out_table(axes, "red_team"),
                "constitution": "constitution",
                "engine": red_teamer,
                "params": "params:data_generation.red_team",
                "seed": "params:seed",
                "shards": "params:shards",
                "held_out_phrases": "held_out_phrases",
            },
            outputs="generated_red_team_prompts",
            name="generate_red_team_prompts",
            tags="sampling",
        ),
        Node(
            gather_red_team_prompts,
            inputs={
                "given": "given_red_team_prompts",
                "generated": "generated_red_team_prompts",
                "held_out": _held_out_table(axes, "red_team"),
                "held_out_phrases": "held_out_phrases",
            },
            outputs="red_team_prompts",
            name="gather_red_team_prompts",
        ),
        Node(
            training_prompts,
            inputs={
                "given": "given_helpful_prompts",
                "held_out": _held_out_table(axes, "helpful"),
                "held_out_phrases": "held_out_phrases",
            },
            outputs="helpful_prompts",
            name="clean_helpful_prompts",
        ),
    ]


def _answers(lineage: Lineage) -> list[Node]:
    return [
        Node(
            bind(plan_responses_by, policy=lineage.name_of("assistant")),
            inputs={
                "prompts": f"{kind}_prompts",
                "engine": lineage.engine_of("assistant"),
                "params": f"params:data_generation.{responses}",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs=responses,
            name=f"sample_{responses}",
            tags="sampling",
        )
        for kind, responses in (("red_team", "initial_responses"), ("helpful", "helpful_responses"))
    ]


def _revisions(critic: str, check: dict[str, str]) -> list[Node]:
    return [
        Node(
            plan_of(revise),
            inputs={
                "prompts": "red_team_prompts",
                "responses": "initial_responses",
                "constitution": "constitution",
                "critic": critic,
                "params": "params:data_generation.revision",
                "seed": "params:seed",
                "shards": "params:shards",
                **check,
            },
            outputs=revisions,
            name=revise.__name__,
            tags="sampling",
        )
        for revise, revisions in ((critique_and_revise, "revisions"), (revise_directly, "direct_revisions"))
    ]
