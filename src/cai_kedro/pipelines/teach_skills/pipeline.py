"""The wiring. Free English is an input of what measures alone."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.pipelines.teach_skills.lessons import build_held_out_lessons, build_lessons
from cai_kedro.pipelines.teach_skills.measuring import ask_skills, measure_skills
from cai_kedro.pipelines.teach_skills.training import teach_model

_SEED = "params:seed"
_MEASURED = "params:teach_skills.skills"


def create_pipeline() -> Pipeline:
    """From the untaught model to the taught one, and to a table of what it can do."""
    return Pipeline(
        [
            Node(
                build_lessons,
                inputs={"params": "params:teach_skills.lessons", "seed": _SEED},
                outputs="taught.lessons",
                name="build_lessons",
            ),
            Node(
                build_held_out_lessons,
                inputs={"params": _MEASURED, "seed": _SEED},
                outputs="taught.held_out_lessons",
                name="build_held_out_lessons",
            ),
            Node(
                teach_model,
                inputs={
                    "base": "untaught.model@checkpoint",
                    "lessons": "taught.lessons",
                    "params": "params:teach_skills.teaching",
                    "seed": _SEED,
                },
                outputs=["taught.model@checkpoint", "taught.training_curves", "taught.snapshots@checkpoint"],
                name="teach",
                tags="training",
            ),
            Node(
                ask_skills,
                inputs={
                    "untaught": "untaught.model@engine",
                    "snapshots": "taught.snapshots@engine",
                    "lessons": "taught.held_out_lessons",
                    "requests": "free_english_requests",
                    "pairs": "free_english_pairs",
                    "constitution": "free_english_constitution",
                    "params": _MEASURED,
                    "seed": _SEED,
                },
                outputs="taught.skill_answers",
                name="ask_skills",
            ),
            Node(
                measure_skills,
                inputs={"answers": "taught.skill_answers"},
                outputs=["taught.skills", "taught.skill_metrics"],
                name="measure_skills",
            ),
        ],
        namespace="teach_skills",
        prefix_datasets_with_namespace=False,
    )
