"""What a study names, held against the project, before the first of many hours."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines, settings
from kedro.pipeline import Pipeline

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.studies.study_file import Setting, Study

_FREE = "lineage"  # policies and their differences: checked when a chain starts, with the lineage's own words


def check_against_project(study: Study, project: Path) -> None:
    """Raise `ValueError` for what a study names and the project has not: pipeline, dataset, parameter, dial, entry."""
    for name in study.pipelines:
        if name not in pipelines:
            raise ValueError(f"there is no pipeline {name!r}; {_near(name, list(pipelines))}")
    made = sum((pipelines[name] for name in study.pipelines), start=Pipeline([])).all_outputs()
    for name in study.to_outputs:
        if name not in made:
            raise ValueError(f"to_outputs: no node of {', '.join(study.pipelines)} makes {name!r}; {_near(name, made)}")
    loader = settings.CONFIG_LOADER_CLASS(str(project / "conf"), env=study.env, **settings.CONFIG_LOADER_ARGS)
    parameters, dials, catalog = loader["parameters"], loader["globals"], loader["catalog"]
    for name, setting in study.settings.items():
        try:
            _check_names(setting.parameters, parameters, "parameter")
            _check_names(setting.globals, dials, "dial")
            _check_entries(setting, catalog, project)
        except ValueError as error:
            raise ValueError(f"the setting {name!r}: {error}") from error


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any], kind: str, path: str = "") -> None:
    for key, value in given.items():
        where = f"{path}{key}"
        if key not in known:
            raise ValueError(f"there is no {kind} {where}; {_near(key, list(known))}")
        if isinstance(value, Mapping) and isinstance(known[key], Mapping) and known[key] and where != _FREE:
            _check_names(value, known[key], kind, f"{where}.")


def _check_entries(setting: Setting, catalog: Mapping[str, Any], project: Path) -> None:
    for entry in setting.entries:
        if entry not in catalog:
            raise ValueError(f"the catalog has no entry {entry!r}; {_near(entry, list(catalog))}")
    if setting.constitution is not None:
        read_constitution(project / setting.constitution)


def _near(wanted: str, known: Collection[str]) -> str:
    matches = difflib.get_close_matches(wanted, sorted(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else f"there are {', '.join(sorted(known)[:12])}"
