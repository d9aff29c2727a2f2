"""The lineage of conf/base, as it stands or with changes, for tests that build pipelines by themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cai_kedro.core.lineage import Lineage

FILE = Path(__file__).parents[1] / "conf" / "base" / "parameters_lineage.yml"


def lineage(changes: Mapping[str, Any] | None = None) -> Lineage:
    """Return the lineage of conf/base with changes laid over it, as an environment or `--params` lays them."""
    base = yaml.safe_load(FILE.read_text(encoding="utf-8"))["lineage"]
    return Lineage.model_validate(OmegaConf.to_container(OmegaConf.merge(base, changes or {})))


LINEAGE = lineage()
