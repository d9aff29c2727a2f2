import logging
import os
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.text import TextDataset

from cai_kedro.datasets.machine_dataset import MachineDataset
from cai_kedro.hooks import DISABLE_HOOKS_FOR_PLUGINS, HOOKS
from cai_kedro.hooks.end_summary import EndSummary, duration, open_command
from cai_kedro.hooks.quiet import ENVIRONMENT, quieten, wanted_threads
from cai_kedro.hooks.run_status import RunStatus


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads, environment = torch.get_num_threads(), dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield
    torch.set_num_threads(threads)
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


def test_one_line_at_the_start_and_one_at_the_end_of_a_stage(
    run_with: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def parts() -> Iterator[int]:
        yield 1
        yield 2

    catalog = DataCatalog(
        {"parameters": MemoryDataset({"threads": 1}), **{name: MemoryDataset() for name in ("a", "b", "c", "d")}}
    )
    pipeline = Pipeline(
        [
            Node(lambda: (1, 2), None, ["a", "b"], name="draw"),
            Node(lambda a: a, "a", "c", name="copy"),
            Node(parts, None, "d", name="yield"),
            Node(lambda c, d: None, ["c", "d"], None, name="check"),
        ]
    )
    with caplog.at_level("INFO", logger="cai_kedro"):
        run_with([RunStatus()], pipeline, catalog)
    lines = [re.sub(r"\d+\.\d s", "0.0 s", record.getMessage()) for record in caplog.records]
    assert lines[0] == "4 stages, 1 threads"
    names = [node.name for node in pipeline.nodes]
    assert sorted(lines[1:]) == sorted(
        line
        for number, name in enumerate(names, start=1)
        for line in (f"stage {number} of 4: {name}", f"stage {number} of 4: {name} 0.0 s")
    )
    # a stage has ended before the next one starts
    assert [line.split(": ")[1].split(" ")[0] for line in lines[1:]] == [name for name in names for _ in "se"]
    assert torch.get_num_threads() == 1


def test_threads_come_from_the_parameter_the_environment_or_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert wanted_threads({"threads": 5}) == 5
    assert wanted_threads({"threads": None}) == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert wanted_threads({}) == len(os.sched_getaffinity(0))
    for bad in (-1, "many"):
        with pytest.raises(ValueError, match="threads must be a count of at least 1"):
            wanted_threads({"threads": bad})


def test_quiet_leaves_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    quieten()
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    assert "HF_HUB_OFFLINE" not in ENVIRONMENT
    assert logging.getLogger("kedro.runner").getEffectiveLevel() == logging.WARNING


def test_the_end_shows_table_time_memory_and_command() -> None:
    lines: list[str] = []
    clock = iter([0.0, 10.0, 135.4, 200.0, 201.0])
    hook = EndSummary(echo=lines.append, now=lambda: next(clock))
    conf = {"server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"}, "ui": {"host": "127.0.0.1"}}
    context: Any = SimpleNamespace(config_loader={"mlflow": conf}, project_path="/project")
    hook.after_context_created(context)
    hook.before_pipeline_run()
    row = {"policy": "rl_cai", "metric": "complies", "value": 0.0, "low": 0.0, "high": 0.1, "n": 9}
    hook.after_dataset_saved("policy_summary", pd.DataFrame([row]))
    hook.after_dataset_saved("report", "<!doctype html>")
    machine = MachineDataset(device="cpu", dtype="float32", engine_dtype="bfloat16")
    catalog = DataCatalog(
        {"report": TextDataset(filepath="/project/data/08_reporting/report.html"), "machine": machine}
    )
    hook.after_pipeline_run(catalog)
    assert "rl_cai" in lines[0]
    assert re.fullmatch(r"2 min 05 s, at most \d+\.\d GB of memory", lines[1])
    assert lines[2].startswith("machine: ")
    assert ", cpu, training in float32, models read in bfloat16, python 3" in lines[2]
    assert lines[3:] == [
        "report, to open in a browser: data/08_reporting/report.html",
        "curves, metrics and tables: mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1",
    ]
    hook.before_pipeline_run()
    hook.after_pipeline_run(catalog)
    assert not any("report" in line for line in lines[5:]), "a run without a report names none"


def test_the_end_says_what_is_not_measured() -> None:
    lines: list[str] = []
    hook = EndSummary(echo=lines.append)
    hook.before_pipeline_run()
    hook.after_dataset_saved("not_measured", pd.DataFrame({"missing": ["judge"], "line": ["no judge: give one"]}))
    hook.after_pipeline_run(DataCatalog({}))
    assert lines[0] == "not measured: no judge: give one"
    hook.before_pipeline_run()
    hook.after_pipeline_run(DataCatalog({}))
    assert sum("not measured" in line for line in lines) == 1, "the next run begins anew"


def test_durations_and_the_address_of_a_server() -> None:
    assert [duration(45.4), duration(60.0), duration(3725)] == ["45 s", "1 min 00 s", "62 min 05 s"]
    conf = {"server": {"mlflow_tracking_uri": "http://127.0.0.1:5000"}, "ui": {"host": "127.0.0.1"}}
    assert open_command(conf) == "http://127.0.0.1:5000"


def test_the_hooks_of_the_project() -> None:
    names = [type(hook).__name__ for hook in HOOKS]
    assert names == ["Preflight", "RunStatus", "Tracking", "EndSummary", "Graph", "Memory", "Checkpoints"]
    assert DISABLE_HOOKS_FOR_PLUGINS == ("kedro_mlflow",)
