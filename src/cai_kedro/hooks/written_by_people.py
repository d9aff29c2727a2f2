"""How much of what people write for SELF-ALIGN a run read, as tags of the run."""

from typing import Any

from cai_kedro.core.question_types import QuestionTypes
from cai_kedro.core.rules import RuleSet

#: A list of texts has no kind of its own.
SEED_TASKS = "seed_tasks"


def counts_of(dataset_name: str, data: Any) -> dict[str, str]:
    """Return `{dataset}.{what}` → how many of it there are; nothing of what is not written for SELF-ALIGN."""
    counts: dict[str, int] = {}
    if isinstance(data, RuleSet):
        counts = {"rules": len(data.rules), "examples": len(data.examples)}
    elif isinstance(data, QuestionTypes):
        counts = {"types": len(data.types), "questions": sum(1 for _ in data.examples)}
    elif dataset_name == SEED_TASKS and isinstance(data, list):
        counts = {"tasks": len(data)}
    return {f"{dataset_name}.{what}": str(n) for what, n in counts.items()}
