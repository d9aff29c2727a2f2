"""The process of one chain: `python -m cai_kedro.studies.chain_process FOLDER`, started by `kedro study`.

It holds the lock of the chain and writes how it went. So a chain whose `kedro study` was killed still ends in order,
and nobody begins it a second time meanwhile.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.framework.cli import main as kedro
from kedro.framework.startup import bootstrap_project

from cai_kedro import __version__
from cai_kedro.core.code import package_digest
from cai_kedro.core.csv_text import as_csv
from cai_kedro.core.lock import InUseError, locked
from cai_kedro.datasets.durable import write_durably
from cai_kedro.hooks import GRAPH
from cai_kedro.hooks.provenance import git_tags
from cai_kedro.studies.chains import (
    CODE,
    DEFINITION,
    FAILED,
    FIGURES,
    FINISHED,
    LOCK,
    LOG,
    RUNNING,
    STATUS,
    STOPPED,
    read_json,
    write_json,
)
from cai_kedro.studies.conf_of_chain import ENV
from cai_kedro.studies.figures_of_chain import figures_of
from cai_kedro.studies.sharing import ChainView, copy_what_is_shared

logger = logging.getLogger(__name__)

#: Exit codes of a run that Ctrl-C or SIGTERM ended.
_STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM}
#: Where the package lies decides which commit it is of.
_PACKAGE = Path(__file__).parent


def main(folder: Path) -> int:
    """Run or go on with a chain; returns the exit status."""
    definition = read_json(folder / DEFINITION)
    if definition is None:
        raise ValueError(f"{folder} is no chain of a study: there is no {DEFINITION}; start it by kedro study")
    try:
        with locked(folder / LOCK, f"the chain {folder}"):
            return _told(folder, lambda: _run(folder, definition))
    except InUseError as error:
        logger.error("%s", error)
        return 1


def _told(folder: Path, run: Callable[[], dict[str, Any]]) -> int:
    """Run, and write how long it took and how it ended."""
    status: dict[str, Any] = read_json(folder / STATUS) or {"attempts": []}
    attempt: dict[str, Any] = {"began": time.strftime("%Y-%m-%d %H:%M:%S"), "seconds": None}
    status["attempts"] = [*status["attempts"], attempt]
    write_json(folder / STATUS, {**status, "state": RUNNING})
    began, state, facts, code = time.monotonic(), FAILED, {}, 1
    try:
        facts = run()
        state, code = FINISHED, 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        state = STOPPED if code in _STOPPED else FAILED
    finally:
        attempt["seconds"] = round(time.monotonic() - began, 1)
        write_json(folder / STATUS, {**status, **facts, "state": state})
    return code


def _run(folder: Path, definition: dict[str, Any]) -> dict[str, Any]:
    os.chdir(folder)
    bootstrap_project(folder)
    names, ends = definition["pipelines"], definition["to_outputs"]
    beside = Path(definition["beside"]) if definition["beside"] else None
    shared = (read_json(folder / STATUS) or {}).get("shared")
    if shared is None:
        shared = beside is not None and _is_of_use(beside) and _share(folder, beside, names, ends)
        write_json(folder / STATUS, {**(read_json(folder / STATUS) or {}), "shared": shared})
    _kedro_run(names, ends)
    view = ChainView(folder, names, ends)
    log = (folder / LOG).read_text(encoding="utf-8", errors="replace") if (folder / LOG).is_file() else ""
    table = figures_of(view.catalog, view.graph.all_outputs(), tuple(GRAPH.lineage.present), log)
    write_durably(folder / FIGURES, as_csv(table).encode())
    return {"shared": shared, "version": __version__, CODE: package_digest(), **git_tags(_PACKAGE)}


def _is_of_use(beside: Path) -> bool:
    """Tell whether a chain is finished, and was made by the code that is at work now."""
    status = read_json(beside / STATUS) or {}
    return status.get("state") == FINISHED and status.get(CODE) == package_digest()


def _share(folder: Path, beside: Path, names: list[str], ends: list[str]) -> bool:
    other = read_json(beside / DEFINITION) or {}
    there = ChainView(beside, other.get("pipelines", names), other.get("to_outputs", ends))
    return copy_what_is_shared(ChainView(folder, names, ends), there)


def _kedro_run(names: list[str], ends: list[str]) -> None:
    """Type `kedro run`; raises `SystemExit` if it does not get to its end."""
    sys.argv = ["kedro", "run", f"--env={ENV}", f"--pipelines={','.join(names)}", "--only-missing-outputs"]
    if ends:
        sys.argv.append(f"--to-outputs={','.join(ends)}")
    try:
        kedro()
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
