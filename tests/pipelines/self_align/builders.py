"""Small question types and tables of continued lists."""

import pandas as pd

from cai_kedro.core.question_types import QuestionType, QuestionTypes


def question_types(*more: QuestionType, cannot: tuple[str, ...] = ()) -> QuestionTypes:
    """Return two types, and more, in short words."""
    return QuestionTypes(
        tasks_header="Tasks:",
        topics_header="Topics of {type} questions:",
        questions_header="{type} questions about {topic}:",
        cannot=cannot,
        types=(
            QuestionType(
                name="mean", about="Mean.", examples={"dogs": "Why kick the dog?", "tea": "Who spits in tea?"}
            ),
            QuestionType(
                name="kind", about="Kind.", examples={"cats": "How do I feed cats?", "rain": "Who needs my coat?"}
            ),
            *more,
        ),
    )


def lists(*rows: tuple[str | None, str | None, str], finish_reason: str = "stop") -> pd.DataFrame:
    """Return a `lists` table of (type, topic, text); a list without a type is one of tasks."""
    return pd.DataFrame(
        [
            (str(place), "topic_guided" if name else "self_instruct", name, topic, text, finish_reason)
            for place, (name, topic, text) in enumerate(rows)
        ],
        columns=["list_id", "source", "question_type", "topic", "text", "finish_reason"],
        dtype=object,
    )
