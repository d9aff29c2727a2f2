"""Where a run comes from: the process, the commit, the versions of what it read and wrote."""

import os
import shlex
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from kedro.io import AbstractVersionedDataset, CatalogProtocol, DatasetError

from cai_kedro.hooks.parameters import flatten, is_secret
from cai_kedro.hooks.run_names import artifact, pipeline_names

HOST, PID, STARTED = "process.host", "process.pid", "process.started"


def process_tags() -> dict[str, str]:
    """Return what tells this process from any other one, on this machine and after a restart."""
    return {HOST: socket.gethostname(), PID: str(os.getpid()), STARTED: _started(psutil.Process())}


def has_ended(tags: Mapping[str, str]) -> bool:
    """Tell whether the process of these tags ran on this machine and is gone; another machine's may still run."""
    if tags.get(HOST) != socket.gethostname() or not tags.get(PID, "").isdecimal():
        return False
    try:
        process = psutil.Process(int(tags[PID]))
        return process.status() == psutil.STATUS_ZOMBIE or _started(process) != tags.get(STARTED)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _started(process: psutil.Process) -> str:
    return f"{process.create_time():.0f}"


def git_tags(project_path: Path) -> dict[str, str]:
    """Return the commit, and whether files differ from it; nothing outside a repository with a commit."""
    commit = _git(project_path, "rev-parse", "HEAD")
    changed = _git(project_path, "status", "--porcelain")
    if commit is None or changed is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git.dirty": str(bool(changed)).lower()}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def command(run_params: Mapping[str, Any]) -> str:
    """Return the command of a run as a shell takes it; of a parameter that may be a secret only the name."""
    options = {
        "pipelines": run_params.get("pipeline_names"),
        "env": run_params.get("env"),
        "tags": run_params.get("tags"),
        "nodes": run_params.get("node_names"),
        "from-nodes": run_params.get("from_nodes"),
        "to-nodes": run_params.get("to_nodes"),
        "from-inputs": run_params.get("from_inputs"),
        "to-outputs": run_params.get("to_outputs"),
        "namespaces": run_params.get("namespaces"),
        "load-versions": [f"{name}:{version}" for name, version in (run_params.get("load_versions") or {}).items()],
    }
    given = {name: [value] if isinstance(value, str) else list(value) for name, value in options.items() if value}
    words = [f"--{name}={','.join(value)}" for name, value in given.items()]
    if run_params.get("only_missing_outputs"):
        words.append("--only-missing-outputs")
    chosen = flatten(run_params.get("runtime_params") or {})
    if chosen:
        words.append(f"--params={','.join(f'{path}={_as_typed(path, value)}' for path, value in chosen.items())}")
    return shlex.join(["kedro", "run", *words])


def _as_typed(path: str, value: Any) -> str:
    """Return the value of a parameter as `--params` takes it."""
    if is_secret(path, value):
        return "<secret>"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def run_tags(run_params: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a run that are known when it starts."""
    return {
        **process_tags(),
        **git_tags(Path(run_params["project_path"])),
        "mlflow.source.name": command(run_params),
        "pipelines": "+".join(pipeline_names(run_params)),
        "env": str(run_params.get("env") or "base"),
        "save_version": str(run_params.get("run_id") or ""),
    }


def machine_tags(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of `engines.machine.machine_facts` as tags: all in one line, and each by itself."""
    from cai_kedro.engines.machine import machine_line  # noqa: PLC0415 - torch, seconds

    return {"machine": machine_line(facts), **{f"machine.{name}": value for name, value in facts.items()}}


def version_tags(catalog: CatalogProtocol, loaded: Iterable[str], saved: Iterable[str]) -> dict[str, str]:
    """Return `loaded.<artifact>` and `saved.<artifact>` with the version of every versioned dataset."""
    tags = {}
    for verb, names in (("loaded", loaded), ("saved", saved)):
        for name in names:
            version = _version(catalog.get(name), verb)
            if version:
                tags[f"{verb}.{artifact(name)}"] = version
    return tags


def _version(dataset: Any, verb: str) -> str | None:
    dataset = getattr(dataset, "_dataset", dataset)  # CachedDataset holds the real one
    if not isinstance(dataset, AbstractVersionedDataset) or getattr(dataset, "_version", None) is None:
        return None
    try:
        return dataset.resolve_load_version() if verb == "loaded" else dataset.resolve_save_version()
    except DatasetError:
        return None
