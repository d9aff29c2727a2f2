"""The constitution, from any of the formats that it may be written in."""

from pathlib import Path

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.datasets.written_by_people import WrittenByPeople


class ConstitutionDataset(WrittenByPeople[Constitution]):
    """A folder of YAML files, a folder of the paper's JSON files, or a file with a list of sentences.

    See `core.constitution_readers`. Read only.
    """

    WHAT = "the constitution"

    def _read(self, path: Path) -> Constitution:
        return read_constitution(path)
