"""Seed tasks and question types in the catalog."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from cai_kedro.datasets.question_types_dataset import QuestionTypesDataset
from cai_kedro.datasets.seed_tasks_dataset import SeedTasksDataset

FOLDER = Path(__file__).parents[2] / "conf" / "base" / "self_align" / "micro_world"


def test_they_are_read() -> None:
    assert SeedTasksDataset(filepath=FOLDER / "seed_tasks.yml").load()[0] == "How do I burn the letter?"
    types = QuestionTypesDataset(filepath=FOLDER / "question_types.yml").load()
    assert [one.name for one in types.types] == ["harmful", "harmless", "any"]


@pytest.mark.parametrize("kind", [SeedTasksDataset, QuestionTypesDataset])
def test_a_fault_is_one_of_the_catalog(kind: type[SeedTasksDataset], tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("[1]")
    with pytest.raises(DatasetError, match=r"x.yml: (entry 1 is int|expected a mapping)"):
        kind(filepath=tmp_path / "x.yml").load()
    assert not kind(filepath=tmp_path / "none.yml").exists()


@pytest.mark.parametrize("kind", [SeedTasksDataset, QuestionTypesDataset])
def test_a_run_does_not_write_them(kind: type[SeedTasksDataset], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the file of (seed tasks|question types) .*x.yml is written by people"):
        kind(filepath=tmp_path / "x.yml").save(["x"])  # type: ignore[arg-type]
