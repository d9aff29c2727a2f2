"""The project folder of one chain: the conf of this project with what the setting changes, and links to the rest.

What differs stands in `conf/study` of that folder, so that `kedro run --env=study` there is the chain, by hand too.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from cai_kedro.hooks.mlflow_store import absolute_uri
from cai_kedro.studies.study_file import Setting

ENV = "study"
_CREDENTIALS = "credentials*.yml"
_STUDIES = "studies"
_OWN = {"conf", "data", "src", "mlflow.db", "mlruns", "mlartifacts", "logs", "__pycache__"}
_PARAMETERS, _CATALOG, _GLOBALS, _MLFLOW = ("parameters", "axes"), ("catalog",), ("globals",), ("mlflow",)


def make_project(folder: Path, project: Path, env: str, seed: int, setting: Setting) -> None:
    """Fill a folder with the conf of a chain and links to what else the project has.

    Prompts and models that the project names by relative paths are found through the links. Credentials are linked too,
    never copied. Studies and claims stay out: another sentence on a chain leaves it as it is. Raises `ValueError` for
    an environment that the project has not.
    """
    if not (project / "conf" / env).is_dir():
        raise ValueError(f"there is no environment {env!r} in {project / 'conf'}; correct env in the study")
    conf = folder / "conf"
    _copied(project / "conf" / "base", conf / "base")
    _copied(project / "conf" / env, conf / ENV) if env != "base" else (conf / ENV).mkdir(parents=True)
    for file in (project / "conf").glob("logging*"):
        shutil.copyfile(file, conf / file.name)
    overlay = conf / ENV
    _write(overlay, "parameters.yml", OmegaConf.merge(*_read(overlay, _PARAMETERS), setting.parameters))
    _write(overlay, "catalog.yml", _updated([*_read(overlay, _CATALOG), setting.entries]))
    _write(
        overlay,
        "globals.yml",
        OmegaConf.merge(*_read(overlay, _GLOBALS), setting.globals, {"seed": seed, "data": "data"}),
    )
    tracking = _updated([*_read(project / "conf" / "base", _MLFLOW, keep=True), *_read(overlay, _MLFLOW)])
    _write(overlay, "mlflow.yml", _absolute(tracking, project))
    (conf / "local").mkdir()  # Kedro wants these, and looks for src inside
    (folder / "src").mkdir()
    (folder / "data").mkdir()
    _link(project / "data" / "01_raw", folder / "data" / "01_raw")
    for entry in project.iterdir():
        if entry.name not in _OWN and (not entry.name.startswith(".") or entry.name == ".telemetry"):
            _link(entry, folder / entry.name)


def digest_of_conf(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a chain's conf, by its path from there; credentials do not count."""
    conf = folder / "conf"
    files = (path for path in conf.rglob("*") if path.is_file() and not path.match(_CREDENTIALS))
    return {str(path.relative_to(conf)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def _copied(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(_CREDENTIALS, _STUDIES, "__pycache__"))
    for file in source.rglob(_CREDENTIALS):
        _link(file, target / file.relative_to(source))


def _link(source: Path, target: Path) -> None:
    if source.exists():
        os.symlink(source.resolve(), target)


def _read(folder: Path, prefixes: Iterable[str], keep: bool = False) -> list[Any]:
    """Return what the files hold whose names begin so, as Kedro finds them; they are taken away unless kept.

    Within one environment Kedro takes no key from two files, so one file takes the place of all.
    """
    found = []
    for prefix in prefixes:
        for file in sorted(path for path in folder.rglob(f"{prefix}*") if path.suffix in (".yml", ".yaml", ".json")):
            found.append(OmegaConf.load(file))
            if not keep:
                file.unlink()
    return found or [OmegaConf.create({})]


def _updated(parts: Iterable[Any]) -> Any:
    """Put mappings together as Kedro does for all but parameters: a later entry takes the place of the whole one."""
    whole: dict[Any, Any] = {}
    for part in parts:
        whole.update(cast(Mapping[Any, Any], OmegaConf.to_container(OmegaConf.create(part), resolve=False)))
    return OmegaConf.create(whole)


def _write(folder: Path, name: str, content: Any) -> None:
    if content:
        OmegaConf.save(content, folder / name, resolve=False)


def _absolute(tracking: Any, project: Path) -> Any:
    """Let the chain record where the project does: relative places start at the project folder."""
    settings = OmegaConf.to_container(tracking, resolve=False)
    assert isinstance(settings, dict)
    server: Mapping[str, Any] = settings.get("server") or {}
    if isinstance(uri := server.get("mlflow_tracking_uri"), str):
        settings["server"] = {**server, "mlflow_tracking_uri": absolute_uri(uri, project)}
    experiment = (settings.get("tracking") or {}).get("experiment") or {}
    created = experiment.get("create_experiment_kwargs") or {}
    place = created.get("artifact_location")
    if isinstance(place, str) and "://" not in place:
        settings["tracking"]["experiment"]["create_experiment_kwargs"] = {
            **created,
            "artifact_location": str(project / place),
        }
    return OmegaConf.create(settings)
