"""The place where MLflow keeps runs: found, checked before anything is run, and made by one process at a time."""

import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"
#: Seconds until a database or a server that does not answer is told as a fault.
PATIENCE = 5.0

_MAGIC = b"SQLite format 3\0"
_QUICK_TO_READ = 64_000_000  # bytes of a database that is read whole to see whether it is damaged
_ADVICE = "move it away, and a new one is made, or give another one as server.mlflow_tracking_uri in mlflow.yml"


def absolute_uri(uri: str, project_path: Path) -> str:
    """Let a relative sqlite path start at the project folder, wherever the command was typed.

    In an address `%`, `?` and `#` have a meaning of their own, in the name of a folder they have none.
    """
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or Path(path).is_absolute():
        return uri
    folder = str(project_path)
    for letter in "%?#":  # `%` first
        folder = folder.replace(letter, f"%{ord(letter):02X}")
    return f"{SQLITE}{folder}/{path}"


def database_path(uri: str) -> Path | None:
    """Return the file of a sqlite address, None for a server or a database in memory."""
    path = unquote(uri.removeprefix(SQLITE).partition("?")[0])
    return Path(path) if uri.startswith(SQLITE) and path not in ("", ":memory:") else None


def store_fault(uri: str) -> str | None:
    """Tell within seconds why no run can be recorded there, and what to do; None if one can."""
    path = database_path(uri)
    if path is not None:
        return _database_fault(path) if path.exists() else None
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or not address.hostname:
        return None
    try:
        socket.create_connection((address.hostname, address.port or _PORTS[address.scheme]), PATIENCE).close()
    except OSError as error:
        return (
            f"the MLflow server at {address.hostname} cannot be reached ({error.strerror or error}); start it, or "
            f"correct server.mlflow_tracking_uri in mlflow.yml"
        )
    return None


_PORTS = {"http": 80, "https": 443}


def _database_fault(path: Path) -> str | None:
    what = f"MLflow's database {path}"
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        return f"{what} cannot be read ({error.strerror}); {_ADVICE}"
    if head and head != _MAGIC:
        return f"{what} is no SQLite database, it begins with {head!r}; {_ADVICE}"
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            return _content_fault(connection, path)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return (
                f"{what} is locked by another process for more than {PATIENCE:g} s; end that process, then start again"
            )
        return f"{what} cannot be written to ({error}); make the file and its folder writable, or {_ADVICE}"
    except sqlite3.DatabaseError as error:
        return f"{what} is damaged ({error}); {_ADVICE}"


def _content_fault(connection: sqlite3.Connection, path: Path) -> str | None:
    connection.execute("BEGIN IMMEDIATE")  # takes the lock that a write needs
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    what = f"MLflow's database {path}"
    if path.stat().st_size < _QUICK_TO_READ:
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            return f"{what} is damaged ({state.splitlines()[-1]}); {_ADVICE}"
    revision = None
    if "alembic_version" in tables:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or (None,)
    connection.rollback()
    if not tables:
        return None
    if revision is None or "experiments" not in tables:
        return f"{what} belongs to something else, it holds the tables {sorted(tables)[:4]}; {_ADVICE}"
    return _schema_fault(revision, what) or _tables_fault(connection, what)


def _schema_fault(revision: str, what: str) -> str | None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - comes with MLflow
    from mlflow.store.db.utils import _get_alembic_config  # noqa: PLC0415
    from mlflow.version import VERSION  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(_get_alembic_config(""))
    if revision == scripts.get_current_head():
        return None
    if revision in {script.revision for script in scripts.walk_revisions()}:
        return (
            f"{what} was made by an older MLflow than the installed {VERSION}; keep a copy of it, then bring it up to "
            f"date with `mlflow db upgrade` and its sqlite:/// address, or {_ADVICE}"
        )
    return (
        f"{what} was made by a newer or another MLflow than the installed {VERSION} (its schema {revision!r} is not "
        f"known); install that MLflow, or {_ADVICE}"
    )


def _tables_fault(connection: sqlite3.Connection, what: str) -> str | None:
    """Tell which table or column is missing: MLflow itself would say so in the middle of a run."""
    import mlflow.store.tracking.dbmodels.models  # noqa: F401, PLC0415 - fills the list of tables
    from mlflow.store.db.base_sql_model import Base  # noqa: PLC0415

    for name, table in Base.metadata.tables.items():
        columns = {column for (column,) in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (name,))}
        missing = [column.name for column in table.columns if column.name not in columns]
        if missing:
            part = f"the column {missing[0]!r} of its table {name!r}" if columns else f"its table {name!r}"
            return f"{what} is not whole, {part} is missing; {_ADVICE}"
    return None


def experiment_of(settings: Any, project: Path) -> tuple["MlflowClient", str]:
    """Return a client and the id of the project's experiment, made if need be; its files lie in the project.

    `settings` are those of mlflow.yml. Raises `MlflowException` where the store cannot be opened.
    """
    uri, experiment = settings.server.mlflow_tracking_uri, settings.tracking.experiment
    given = experiment.create_experiment_kwargs.artifact_location
    artifacts = project / given if given and "://" not in given else given
    client, experiment_id = open_experiment(uri, experiment.name, artifacts)
    if isinstance(artifacts, Path) and (elsewhere := move_artifacts(uri, experiment_id, artifacts, project)):
        logger.warning(
            "the experiment %r kept its files in %s; from now on runs keep theirs in %s",
            experiment.name, elsewhere, artifacts,
        )  # fmt: skip
    return client, experiment_id


def open_experiment(uri: str, name: str, artifacts: Path | str | None) -> tuple["MlflowClient", str]:
    """Return a client and the id of the experiment, made (or restored) if need be.

    `artifacts` is a folder, an address, or None for what the store chooses. Raises `MlflowException` where the store
    cannot be opened.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    path = database_path(uri)
    with _one_at_a_time(path):
        if path is not None:
            _prepare_sqlite(path)
        with _no_misread_folder(uri):
            client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            location = artifacts.resolve().as_uri() if isinstance(artifacts, Path) else artifacts
            try:
                return client, client.create_experiment(name, artifact_location=location)
            except MlflowException:  # on a server somebody else may have made it since
                experiment = client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
    return client, experiment.experiment_id


@contextmanager
def _one_at_a_time(database: Path | None) -> Iterator[None]:
    """Let one process after another make tables and experiments: MLflow itself makes them twice and fails."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f".{database.name}.lock").open("a") as file:
        with suppress(OSError):  # a file system without locks: as without this precaution
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_misread_folder(uri: str) -> Iterator[None]:
    """Remove the empty folder that MLflow makes where it takes `%25` in an address for the name of a folder."""
    path, misread = database_path(uri), Path(uri.removeprefix(SQLITE)).parent
    new = path is not None and misread != path.parent and not misread.exists()
    yield
    if new:
        with suppress(OSError):
            os.removedirs(misread)


def _prepare_sqlite(path: Path) -> None:
    """Write ahead without a disk flush per call.

    A third of the time of a new database and of small writes; the user interface can read during a run. The file
    survives even a power cut, which may cost the last few writes.
    """
    from sqlalchemy import event  # noqa: PLC0415 - comes with MLflow
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    if not event.contains(Engine, "connect", _flush_rarely):
        event.listen(Engine, "connect", _flush_rarely)
    if not path.exists():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _flush_rarely(connection: Any, _: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")


def move_artifacts(uri: str, experiment_id: str, folder: Path, project: Path) -> str | None:
    """Let new runs of a project that was copied or moved keep their files in `folder`; return where they were kept.

    MLflow stores an absolute location when an experiment is made, and has no call to change it. Only a database
    inside the project is changed: another one may serve several projects.
    """
    path = database_path(uri)
    if path is None or not path.resolve().is_relative_to(project.resolve()):
        return None
    with _one_at_a_time(path), closing(sqlite3.connect(path, timeout=PATIENCE)) as connection, connection:
        (stored,) = connection.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id = ?", (experiment_id,)
        ).fetchone()
        location = Path(url2pathname(urlsplit(stored).path)).resolve()
        if location == folder.resolve():
            return None
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (folder.resolve().as_uri(), experiment_id),
        )
    return str(location)
