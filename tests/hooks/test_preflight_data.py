"""Worked examples that the constitution lacks, and versions that are not there, are told before the first node."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel

from cai_kedro.core.worked_examples import ExamplesOf
from cai_kedro.datasets.csv_dataset import CsvDataset
from cai_kedro.hooks.preflight_checks import input_faults
from cai_kedro.hooks.preflight_data import example_faults, example_warnings, rule_faults, version_faults
from cai_kedro.hooks.run_names import is_parameter
from tests.pipelines.builders import constitution, prompt_table
from tests.pipelines.self_align.tables import RULES, params

PROJECT = Path(__file__).parents[2]
#: Each parameter that counts worked examples: its pipeline, and the kind it draws.
COUNTS = {
    "data_generation.revision.few_shots": ("data_generation", "critiques"),
    "preference_labeling.labels.few_shots": ("preference_labeling", "comparisons"),
    "preference_labeling.cot_labels.few_shots": ("preference_labeling", "cots"),
    "judge_accuracy.few_shots": ("judge_accuracy", "comparisons"),
    "judge_accuracy.cot.few_shots": ("judge_accuracy", "cots"),
}


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize("path", COUNTS)
def test_examples_that_the_constitution_has_not_are_told_before_the_run(path: str) -> None:
    """As a warning with the number that will be shown: a constitution without examples is a constitution."""
    bootstrap_project(PROJECT)
    pipeline, kind = COUNTS[path]
    with KedroSession.create(PROJECT, env="base", runtime_params=nested(path, 77)) as session:
        catalog = session.load_context().catalog
        (told,) = example_warnings(pipelines[pipeline], catalog)
    assert re.fullmatch(rf"{path} is 77, but the constitution has (\d+) worked {kind}: the models are shown \1", told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"rules": ["kind"]}, "self_align.self_alignment: there is no rule 'kind', only harmless, brief, helpful"),
        ({"rules": ["brief"], "examples": 1}, "self_align.self_alignment: worked examples name rules by their numbers"),
        ({"examples": 7}, "self_align.self_alignment: there are 1 worked examples, 7 are asked for"),
    ],
)
def test_rules_that_there_are_not_are_told_before_the_run(changes: dict[str, Any], told: str | None) -> None:
    name = "params:self_align.self_alignment"
    catalog = DataCatalog({"self_align_rules": MemoryDataset(RULES), name: MemoryDataset(params(**changes))})
    pipeline = Pipeline([Node(lambda rules, params: None, ["self_align_rules", name], "answers", name="answer")])
    faults = list(rule_faults(pipeline, catalog))
    assert len(faults) == (told is not None)
    assert all(fault.startswith(str(told)) for fault in faults)


def test_every_parameter_named_few_shots_is_marked() -> None:
    """A new one that is not marked would fail after hours of training."""
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="base") as session:
        catalog = session.load_context().catalog
        names = {name for pipeline in pipelines.values() for name in pipeline.inputs() if is_parameter(name)}
        marked = {path for name in names for path in counts(catalog.load(name), name.removeprefix("params:"))}
    # the labeller that rewards shows some, too, but only a lineage with such an arm reads the constitution for them
    assert marked == {*COUNTS, "rlhf.judge.few_shots"}


def counts(value: Any, path: str) -> list[str]:
    if not isinstance(value, BaseModel):
        return []
    paths = [p for name in type(value).model_fields for p in counts(getattr(value, name), f"{path}.{name}")]
    for name, field in type(value).model_fields.items():
        if name == "few_shots":
            assert any(isinstance(mark, ExamplesOf) for mark in field.metadata), f"{path}.{name}"
            paths.append(f"{path}.{name}")
    return paths


def test_a_list_of_more_prompts_than_there_are_has_fewer_and_without_any_it_is_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tests.pipelines.test_red_team import params  # noqa: PLC0415 - the same small parameters

    catalog = DataCatalog(
        {
            "constitution": MemoryDataset(constitution(), copy_mode="assign"),
            "given_red_team_prompts": MemoryDataset(prompt_table(["How?", "How?", "Why?"])),
            "none": MemoryDataset(prompt_table([])),
            "params:data_generation.red_team": MemoryDataset(params(examples=3), copy_mode="assign"),
        }
    )
    inputs = ["constitution", "given_red_team_prompts", "params:data_generation.red_team"]
    pipeline = Pipeline([Node(lambda *given: given, inputs, "out", name="n")])
    assert not list(example_faults(pipeline, catalog))
    assert "red_team.examples is 3, there are 2 different red-team prompts of one turn: a list has 2" in caplog.text
    catalog["given_red_team_prompts"] = catalog["none"]
    (fault,) = example_faults(pipeline, catalog)
    assert fault.startswith("a list needs a red-team prompt of one turn, and there is none: give some, or set data_")


def test_a_version_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    there = [f"2026-01-0{day}T00.00.00.000Z" for day in range(1, 8)]
    for version in there:
        CsvDataset(filepath=tmp_path / "t.csv", version=Version(None, version)).save(pd.DataFrame({"a": [1]}))
    pinned = CsvDataset(filepath=tmp_path / "t.csv", version=Version("2025-12-31T00.00.00.000Z", there[0]))
    none = CsvDataset(filepath=tmp_path / "u.csv", version=Version(there[0], there[0]))
    catalog = DataCatalog({"t": pinned, "u": none, "raw": MemoryDataset(1)})
    of_t, of_u, of_raw = sorted(
        version_faults({"t": "2025-12-31T00.00.00.000Z", "u": there[0], "raw": "x"}, catalog), key=len, reverse=True
    )
    newest = ", ".join(there[:1:-1])
    assert of_t == (
        f"--load-versions names t:2025-12-31T00.00.00.000Z, which is not there; under {tmp_path}/t.csv are {newest} "
        f"and 2 older ones"
    )
    assert of_u.endswith(f"under {tmp_path}/u.csv is no version yet: make it first")
    assert of_raw == "--load-versions names 'raw', which has no versions; leave it out"
    assert not list(
        version_faults(
            {"t": there[0]},
            DataCatalog({"t": CsvDataset(filepath=tmp_path / "t.csv", version=Version(there[0], there[1]))}),
        )
    )
    reads_t = Pipeline([Node(lambda table: table, "t", "out", name="n")])
    assert not list(input_faults(reads_t, catalog, {})), "one fault, told once"
