"""The notebooks run from top to bottom after any run, and are kept without outputs."""

import resource
import shutil
from pathlib import Path

import nbformat
import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SECONDS = 60  # of processor time


def _spent_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="module")
def two_runs(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of the run, and beside it a second one in which everything is 10 higher."""
    project = tmp_path_factory.mktemp("two_runs")
    (project / "conf" / "base").mkdir(parents=True)
    for file in finished_run.glob("mlflow.db*"):
        shutil.copy(file, project)
    client = MlflowClient(tracking_uri=f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("cai_kedro")
    (whole,) = client.search_runs([experiment.experiment_id], "tags.`mlflow.runName` = 'whole method'")
    second = client.create_run(experiment.experiment_id, run_name="ten higher").info.run_id
    metrics = [
        Metric(name, value if name.endswith(".n") else value + 10, 0, 0) for name, value in whole.data.metrics.items()
    ]
    for start in range(0, len(metrics), 1000):
        client.log_batch(second, metrics=metrics[start : start + 1000])
    client.set_terminated(second)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_after_a_run(path: Path, finished_run: Path, two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAI_ENV", "smoke")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    compares = path.stem == "compare_runs"
    before = _spent_by_children()
    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(two_runs if compares else finished_run)}}
    ).execute()
    assert 1 < _spent_by_children() - before < SECONDS  # the kernel is a process of its own
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in shown if output.get("name") == "stderr"]
    assert "harmlessness Elo" in str(shown[-1])
    if compares:
        (row,) = [line for line in shown[-1]["text"].split("\n") if "harmlessness Elo, rl_cai " in line]
        assert row.split()[:6] == ["harmlessness", "Elo,", "rl_cai", "10.0", "NaN", "NaN"]
        assert row.endswith("one run a side: nothing is known of another training")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)
