"""The tasks from which self-instruct starts."""

from pathlib import Path

from cai_kedro.core.question_types import read_seed_tasks
from cai_kedro.datasets.written_by_people import WrittenByPeople


class SeedTasksDataset(WrittenByPeople[list[str]]):
    """A YAML or JSON file with a list of tasks, a line of text each. Read only."""

    WHAT = "the file of seed tasks"

    def _read(self, path: Path) -> list[str]:
        return read_seed_tasks(path)
