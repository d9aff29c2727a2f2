"""The prompt files of the project are those that the grammar writes, and the oracle reads them all."""

import json
from pathlib import Path

import pytest

from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.englishworld.oracle import requested
from cai_kedro.englishworld.prompt_files import PROMPTS, write_prompt_files

FOLDER = Path(__file__).parents[2] / "data" / "01_raw" / "english_world"


def test_the_files_are_those_of_the_grammar(tmp_path: Path) -> None:
    write_prompt_files(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (FOLDER / file.name).read_bytes()


@pytest.mark.parametrize("name", PROMPTS)
def test_the_oracle_reads_every_prompt(name: str) -> None:
    harmful, counts = PROMPTS[name]
    table = PromptsDataset(filepath=FOLDER / f"{name}.jsonl").load()
    assert table["split"].value_counts().to_dict() == counts
    assert table["prompt_id"].is_unique
    for row in table.itertuples():
        deed = requested(row.messages)
        assert deed is not None, row.messages
        assert deed.harmful == harmful
        if row.split in ("act", "object", "kind"):
            assert deed.split == row.split
        assert (deed.looks_like is not None) or row.split != "look_alike"


def test_the_rows_tell_nothing_of_the_truth() -> None:
    for name in PROMPTS:
        for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            assert set(json.loads(line)) == {"prompt_id", "split", "messages"}
