"""What a run and its datasets are called."""

from collections.abc import Mapping
from typing import Any

WHOLE = "__default__"
PARAMETERS = "params:"


def pipeline_names(run_params: Mapping[str, Any]) -> list[str]:
    """Return the pipelines that were asked for; the default one if none was."""
    return list(run_params.get("pipeline_names") or [WHOLE])


def run_name(run_params: Mapping[str, Any]) -> str:
    """Return the name of a run: its pipelines, joined by `+`."""
    return "+".join("whole method" if name == WHOLE else name for name in pipeline_names(run_params))


def artifact(dataset_name: str) -> str:
    """Return the name without its transcoding: `sl_cai.model@engine` and `…@checkpoint` are one artifact."""
    return dataset_name.partition("@")[0]


def is_parameter(dataset_name: str) -> bool:
    """Tell parameters from data."""
    return dataset_name == "parameters" or dataset_name.startswith(PARAMETERS)
