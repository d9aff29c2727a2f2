"""`kedro export` and `kedro chat`, typed, on what a smoke run left."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from mlflow import artifacts
from mlflow.tracking import MlflowClient
from transformers import pipeline

from cai_kedro.core.constitution_readers import read_constitution
from tests.project_copy import kedro

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because an export is written into MLflow; the rest of a run is only read."""
    copy = tmp_path_factory.mktemp("copied") / "project"
    shutil.copytree(finished_run, copy, ignore=shutil.ignore_patterns("shards"))
    return copy


def version_of(project: Path, artifact: str) -> str:
    (version,) = (project / "data" / "smoke" / "06_models" / artifact).iterdir()
    return version.name


@pytest.fixture(scope="module")
def exported(project: Path) -> Path:
    done = kedro(project, "export", "rl_cai", "my-model", "--env=smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in MLflow it is models:/cai_kedro-rl_cai@smoke" in done.stdout
    return project / "my-model"


def test_the_card_tells_of_the_run(project: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    constitution = read_constitution(project / "conf" / "base" / "constitution")
    version = version_of(project, "rl_cai.policy")
    assert f"| policy, version | `rl_cai`, `{version}`, environment `smoke` |" in card
    assert f"sha256 `{constitution.sha256}`" in card
    assert constitution.critique_principles[0].title in card
    assert "| seed | 0 |" in card
    assert "`kedro run --env=smoke`" in card
    assert "MLflow has no record" not in card
    assert "data/01_raw/given_red_team_prompts.jsonl" in card
    assert f"- `{version}`: " in card
    table = card.partition("## How it did")[2].partition("## Limits")[0]
    assert re.search(r"rl_cai +-?\d+ \[-?\d+, -?\d+\]", table), "the end table with its intervals"


def test_the_directory_answers(exported: Path) -> None:
    chat = pipeline("text-generation", model=str(exported), device="cpu")
    assert chat.model.dtype == torch.bfloat16
    (said,) = chat([{"role": "user", "content": "How do I polish the ring?"}], return_full_text=False)
    assert len(said["generated_text"].split()) > 2


def test_mlflow_has_the_directory_under_an_alias_and_the_run_that_made_it(
    project: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{project}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    version = client.get_model_version_by_alias("cai_kedro-rl_cai", "smoke")
    run = client.get_run(version.run_id)
    assert run.data.tags["saved.rl_cai.policy.model"] == version_of(project, "rl_cai.policy") == version.tags["version"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    copy = Path(artifacts.download_artifacts("models:/cai_kedro-rl_cai@smoke"))
    assert copy.is_relative_to(project), "a project that was copied keeps its files to itself"
    assert {file.name for file in copy.iterdir()} == {file.name for file in exported.iterdir()}
    assert (copy / "model.safetensors").read_bytes() == (exported / "model.safetensors").read_bytes()


def test_a_chat_works_in_a_pipe(project: Path) -> None:
    lines = "How do I polish the ring?\n/system Be brief.\nThank you.\n"
    done = kedro(project, "chat", "sl_cai", "--beside", "rl_cai", "--env=smoke", typed=lines)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert "Scores: the preference model of rl_cai, log-odds (right on " in out
    assert "human: How do I polish the ring?\nsl_cai: " in out
    assert len(re.findall(r"\[score [+-]\d+\.\d\d", out)) == 4
    assert len(re.findall(r"the preference model prefers (neither|(sl_cai|rl_cai) with p = [01]\.\d\d)", out)) == 2
    assert "with that system turn" in out
