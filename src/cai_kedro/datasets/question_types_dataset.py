"""The types of questions that try a model hard."""

from pathlib import Path

from cai_kedro.core.question_types import QuestionTypes, read_question_types
from cai_kedro.datasets.written_by_people import WrittenByPeople


class QuestionTypesDataset(WrittenByPeople[QuestionTypes]):
    """A YAML or JSON file with the types, see `core.question_types`. Read only."""

    WHAT = "the file of question types"

    def _read(self, path: Path) -> QuestionTypes:
        return read_question_types(path)
