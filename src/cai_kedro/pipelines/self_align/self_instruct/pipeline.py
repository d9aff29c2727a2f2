"""The wiring of stage 1."""

from typing import get_args

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.axes import Axes, TrainingPrompts
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.self_align.self_instruct.lists import plan_question_lists, plan_task_lists, plan_topic_lists
from cai_kedro.pipelines.self_align.self_instruct.questions import filter_questions
from cai_kedro.pipelines.self_align.self_instruct.topics import choose_topics

_PARAMS = "params:self_align.self_instruct"


def create_pipeline(lineage: Lineage, axes: Axes) -> Pipeline:
    """From seed tasks and types of questions to questions, made up by the base model, apart from the evaluation."""
    sampled = {
        "question_types": "question_types",
        "engine": f"{lineage.model_of(lineage.base)}@engine",
        "seed": "params:seed",
        "shards": "params:shards",
    }
    held_out = {table: table for kind in get_args(TrainingPrompts) for table in axes.held_out_of(kind)}
    return Pipeline(
        [
            Node(
                plan_topic_lists,
                inputs={**sampled, "params": f"{_PARAMS}.topic_lists"},
                outputs="self_align_topic_lists",
                name="make_up_topics",
                tags="sampling",
            ),
            Node(
                choose_topics,
                inputs={
                    "topic_lists": "self_align_topic_lists",
                    "question_types": "question_types",
                    "held_out_phrases": "held_out_phrases",
                    "params": f"{_PARAMS}.topics",
                },
                outputs=["self_align_topics", "self_align_topics_filtered"],
                name="choose_topics",
            ),
            Node(
                plan_question_lists,
                inputs={**sampled, "topics": "self_align_topics", "params": f"{_PARAMS}.question_lists"},
                outputs="self_align_question_lists",
                name="make_up_questions",
                tags="sampling",
            ),
            Node(
                plan_task_lists,
                inputs={**sampled, "seed_tasks": "seed_tasks", "params": f"{_PARAMS}.task_lists"},
                outputs="self_align_task_lists",
                name="make_up_tasks",
                tags="sampling",
            ),
            Node(
                filter_questions,
                inputs={
                    "question_lists": "self_align_question_lists",
                    "task_lists": "self_align_task_lists",
                    "topics": "self_align_topics",
                    "topics_filtered": "self_align_topics_filtered",
                    "question_types": "question_types",
                    "seed_tasks": "seed_tasks",
                    "held_out_phrases": "held_out_phrases",
                    "params": f"{_PARAMS}.filters",
                    **held_out,
                },
                outputs=["self_align_questions", "self_align_filtered", "self_align_counts"],
                name="filter_questions",
            ),
        ],
        namespace="self_instruct",
        prefix_datasets_with_namespace=False,
    )
