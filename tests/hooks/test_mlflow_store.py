"""Where runs are recorded: what keeps that from working, folders with any name, first runs at the same time."""

import itertools
import logging
import multiprocessing
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.hooks.config_loader import ConfigLoader
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.mlflow_run import MlflowRun
from cai_kedro.hooks.mlflow_store import absolute_uri, database_path, open_experiment, store_fault
from cai_kedro.hooks.tracking import MAX_FAILURES, Tracking

ODD = "50%2F [x]*#?ü%25"
NOTHING = Pipeline([Node(lambda: {}, None, "out", name="nothing")])


def _tracking(project: Path, **tracking: Any) -> Tracking:
    experiment = {"name": "cai", "create_experiment_kwargs": {"artifact_location": "mlruns"}}
    conf = {
        "server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"},
        "tracking": {"disable_tracking": {"pipelines": []}, "experiment": experiment},
        "ui": {"host": "127.0.0.1", "port": "5000"},
    }
    hook = Tracking()
    hook.after_context_created(SimpleNamespace(config_loader={"mlflow": {**conf, **tracking}}, project_path=project))
    return hook


@pytest.fixture
def project(store: Path, tmp_path: Path) -> Path:
    """A folder with a database that MLflow made."""
    with closing(sqlite3.connect(store / "mlflow.db")) as made, closing(sqlite3.connect(tmp_path / "mlflow.db")) as own:
        made.backup(own)
    return tmp_path


# ---- faults that are told before the first node ----------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("no database, but a text that somebody saved here")


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * len(content[8192:-4096])
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def _sql(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return change


def _schema(revision: str) -> Callable[[Path], None]:
    return _sql(f"UPDATE alembic_version SET version_num = '{revision}'")


def _foreign(path: Path) -> None:
    path.unlink()
    _sql("CREATE TABLE customers (name TEXT)")(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_text, r"is no SQLite database, it begins with b'no database, but'; move it away"),
        (_damage, "is damaged .*; move it away"),
        (_cut, "is damaged .*; move it away"),
        (_foreign, r"belongs to something else, it holds the tables \['customers'\]; move it away"),
        (
            _sql("UPDATE alembic_version SET version_num = 'feedface0000'"),
            "was made by a newer or another .* 'feedface0000'.*install",
        ),
        (_schema("451aebb31d03"), "was made by an older MLflow .*`mlflow db upgrade`"),
        (_sql("DROP TABLE metrics"), "is not whole, its table 'metrics' is missing; move it away"),
        (_sql("ALTER TABLE tags DROP COLUMN value"), "is not whole, the column 'value' of its table 'tags' is missing"),
        (_folder, r"cannot be read \(Is a directory\)"),
    ],
)
def test_a_database_that_cannot_be_used(
    project: Path, run_with: Callable[..., None], change: Callable[[Path], None], match: str
) -> None:
    change(project / "mlflow.db")
    began = time.monotonic()
    with pytest.raises(PreflightError, match=rf"^nothing was run: MLflow's database {project}/mlflow\.db {match}"):
        run_with([_tracking(project)], NOTHING, DataCatalog({"out": MemoryDataset()}), project_path=str(project))
    assert time.monotonic() - began < 5


def test_a_database_that_is_locked_or_read_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cai_kedro.hooks.mlflow_store.PATIENCE", 0.2)
    uri = f"sqlite:///{project}/mlflow.db"
    assert store_fault(uri) is None
    with closing(sqlite3.connect(project / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "mlflow.db is locked by another process for more than 0.2 s; end that process" in str(store_fault(uri))
    if os.geteuid() == 0:  # nothing is read-only to root, but for a database that says so itself
        content = bytearray((project / "mlflow.db").read_bytes())
        content[18] = 9  # SQLite's version of the writer: newer than any
        (project / "mlflow.db").write_bytes(content)
    else:
        (project / "mlflow.db").chmod(0o400)
    assert "cannot be written to (attempt to write a readonly database); make the file" in str(store_fault(uri))


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    fault = store_fault("http://me:secret@127.0.0.1:9/")
    assert fault is not None
    assert "the MLflow server at 127.0.0.1 cannot be reached (Connection refused); start it" in fault
    assert "secret" not in fault


def test_a_database_that_breaks_during_a_run_costs_no_table(
    project: Path, run_with: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def break_it() -> dict[str, Any]:
        for file in project.glob("mlflow.db*"):
            file.write_bytes(b"no database any more" * 500)
        return {}

    class Table(MemoryDataset):
        def save(self, data: Any) -> None:
            made.append(names[len(made)])
            super().save(data)

    made: list[str] = []

    names = [f"t{i}_metrics" for i in range(6)]
    nodes = [Node(break_it, None, names[0], name="break")]
    nodes += [Node(lambda _: {}, before, after, name=after) for before, after in itertools.pairwise(names)]
    catalog = DataCatalog({name: Table() for name in names})
    hook = _tracking(project)
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        run_with([hook], Pipeline(nodes), catalog, project_path=str(project))
    assert made == names
    assert sum("MLflow did not take" in record.getMessage() for record in caplog.records) == MAX_FAILURES
    assert "from here on nothing is recorded there" in caplog.text


# ---- first runs at the same time -------------------------------------------------------------------------------------


def _first_run(project: str, barrier: Any, ended: Any) -> None:
    barrier.wait(60)
    try:
        client, experiment_id = open_experiment(f"sqlite:///{project}/mlflow.db", "cai", Path(project) / "mlruns")
        run = MlflowRun(client, experiment_id, "first", {})
        run.finish("FINISHED")
        ended.put((experiment_id, ""))
    except Exception as error:
        ended.put(("", repr(error)[:300]))


def test_four_first_runs_on_a_new_database(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")  # MLflow's import is shared, the database is not
    import mlflow.tracking  # noqa: F401, PLC0415

    barrier, ended = fork.Barrier(4), fork.Queue()
    processes = [fork.Process(target=_first_run, args=(str(tmp_path), barrier, ended)) for _ in range(4)]
    for process in processes:
        process.start()
    results = [ended.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    assert [error for _, error in results if error] == []
    assert len({experiment_id for experiment_id, _ in results}) == 1
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (4,)


# ---- copied projects -------------------------------------------------------------------------------------------------


def test_a_copied_project_keeps_its_files_itself(
    project: Path, tmp_path_factory: pytest.TempPathFactory, run_with: Callable[..., None], caplog: Any
) -> None:
    catalog = {"out_summary": MemoryDataset()}
    pages = Pipeline([Node(lambda: "<p>", None, "report", name="write")])
    run_with([_tracking(project)], pages, DataCatalog(catalog), project_path=str(project))
    assert len(list(project.glob("mlruns/**/report.html"))) == 1
    copy = shutil.copytree(project, tmp_path_factory.mktemp("copy") / "project")
    caplog.set_level(logging.WARNING, logger="cai_kedro")
    for _ in range(2):
        run_with([_tracking(copy)], pages, DataCatalog(catalog), project_path=str(copy))
    assert len(list(project.glob("mlruns/**/report.html"))) == 1, "the original is left alone"
    assert len(list(copy.glob("mlruns/**/report.html"))) == 1 + 2
    told = [record.getMessage() for record in caplog.records if "kept its files" in record.getMessage()]
    assert told == [
        f"the experiment 'cai' kept its files in {project}/mlruns; from now on runs keep theirs in {copy}/mlruns"
    ]


# ---- folders with any name -------------------------------------------------------------------------------------------


class Text(LocalVersionedDataset[str, str]):
    def load(self) -> str:
        return Path(self._get_load_path()).read_text()

    def save(self, data: str) -> None:
        with self._writing() as path:
            path.write_text(data)


def test_a_project_in_a_folder_with_any_name(store: Path, tmp_path: Path, run_with: Callable[..., None]) -> None:
    project = tmp_path / ODD / "project"
    (project / "conf" / "base").mkdir(parents=True)
    (project / "conf" / "base" / "parameters.yml").write_text("seed: 3")
    assert ConfigLoader(str(project / "conf"), base_env="base", default_run_env="base")["parameters"] == {"seed": 3}
    with closing(sqlite3.connect(store / "mlflow.db")) as made, closing(sqlite3.connect(project / "mlflow.db")) as own:
        made.backup(own)
    for version in ("1", "2"):
        Text(filepath=project / "data" / "a[1].txt", version=Version(None, version)).save(version)
    table = Text(filepath=project / "data" / "a[1].txt", version=Version(None, None))
    assert table.load() == "2"
    pages = Pipeline([Node(lambda text: f"<p>{text}", "table", "report", name="write")])
    catalog = DataCatalog({"table": table, "report": Text(filepath=project / "data" / "report.html")})
    run_with([_tracking(project)], pages, catalog, project_path=str(project))
    assert (project / "data" / "report.html").read_text() == "<p>2"
    assert [file.read_text() for file in project.glob("mlruns/*/artifacts/report.html")] == ["<p>2"]
    assert [path.name for path in tmp_path.iterdir()] == [ODD], "nothing was written beside the project"
    assert database_path(absolute_uri("sqlite:///mlflow.db", project)) == project / "mlflow.db"
