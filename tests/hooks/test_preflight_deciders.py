"""A judge or referee that is a model of the training is told before anything runs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.axes import Axes
from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.datasets.judge_dataset import JudgeDataset
from cai_kedro.datasets.referee_dataset import RefereeDataset
from cai_kedro.hooks.preflight_deciders import decider_faults
from cai_kedro.microworld.shipped import shipped_directory
from tests.lineages import LINEAGE
from tests.project_copy import PROJECT

LOCAL = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 1024}
SERVER = {
    "kind": "server",
    "base_url": "http://127.0.0.1:9/v1",
    "model": "m",
    "api": "completions",
    "logprobs": "echo",
    "top_logprobs": 20,
    "prompt_prefix": "",
    "extra_body": {},
    "concurrency": 1,
    "timeout_s": 1,
    "max_retries": 0,
    "stalled_after_s": 5,
}
Faults = Callable[..., list[str]]


def _use(judge: object) -> object:
    return judge


def _provide(base_model: object) -> object:
    return base_model


@pytest.fixture
def faults() -> Faults:
    bootstrap_project(PROJECT)
    base_model = KedroSession.create(PROJECT, env="base").load_context().params["base_model"]

    def find(decider: str, dataset: Any, lineage: Lineage = LINEAGE, insist: bool = False, **entries: Any) -> list[str]:
        model = lineage.model_of(lineage.base)
        nodes = [Node(_use, decider, "said"), Node(_provide, "params:base_model", f"{model}@checkpoint")]
        catalog = DataCatalog(
            {
                decider: dataset,
                "params:base_model": MemoryDataset(base_model),
                "params:evaluation": MemoryDataset({"elo": {"allow_training_judge": insist}}),
                **entries,
            }
        )
        own = {
            "harmlessness": {"prompts": "p", "question": "?", "raters": "referee" if decider == "judge" else decider}
        }
        exam = Exam(Axes.model_validate(own), referees=frozenset({"referee", decider}))
        return list(decider_faults(lineage, exam, Pipeline(nodes), catalog, PROJECT))

    return find


def test_a_copy_of_the_labeller_is_no_judge(faults: Faults, tmp_path: Path) -> None:
    copy = shutil.copytree(shipped_directory(), tmp_path / "copy")
    (fault,) = faults("judge", JudgeDataset(kind="engine", path=str(copy), engine=LOCAL))
    assert fault.startswith("the judge is the model 'pretrained', which labels, thinks, criticises or answers")
    assert "`kind: rules`" in fault
    (fault,) = faults("referee", RefereeDataset(kind="engine", path=str(copy), engine=LOCAL))
    assert "evaluation.elo.allow_training_judge=true" in fault
    (fault,) = faults("server", RefereeDataset(kind="engine", path=str(copy), engine=LOCAL))
    assert fault.startswith("the referee 'server' is the model 'pretrained'")
    assert "Name another model under `server` in the catalog" in fault
    assert faults("referee", RefereeDataset(kind="engine", path=str(copy), engine=LOCAL), insist=True) == []
    assert len(faults("judge", JudgeDataset(kind="engine", path=str(copy), engine=LOCAL), insist=True)) == 1


def test_a_server_that_labels_is_no_judge(faults: Faults) -> None:
    roles = LINEAGE.roles.model_copy(update={"labeller": "big_one"})
    lineage = LINEAGE.model_copy(update={"roles": roles})
    labeller = EngineDataset(engine=SERVER)
    (fault,) = faults("judge", JudgeDataset(kind="engine", engine=SERVER), lineage, big_one=labeller)
    assert fault.startswith("the judge is the model 'labeller'")
    other = JudgeDataset(kind="engine", engine={**SERVER, "model": "another"})
    assert faults("judge", other, lineage, big_one=labeller) == []


def test_rules_and_classes_are_no_models(faults: Faults) -> None:
    assert faults("judge", JudgeDataset(kind="rules")) == []
    assert faults("judge", MemoryDataset("anything")) == []
