"""A study as people write it: seeds, and settings that differ in parameters, dials, catalog or constitution."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from cai_kedro.metrics.claims import Claim

#: Where studies lie that are called by their name, from the project folder.
STUDIES = Path("conf/base/studies")
CLAIMS = STUDIES / "claims.yml"
WHOLE = "__default__"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Setting(_Frozen):
    """What differs from the environment; nothing differs where all four are left out."""

    about: str = Field(min_length=1, description="what it is for, one sentence")
    constitution: str | None = Field(default=None, description="a path from the project folder")
    parameters: dict[str, Any] = Field(default_factory=dict, description="as in conf/*/parameters*.yml, nested")
    globals: dict[str, Any] = Field(default_factory=dict, description="dials, as in conf/*/globals.yml, nested")
    catalog: dict[str, Any] = Field(default_factory=dict, description="whole entries of the catalog")

    @property
    def entries(self) -> dict[str, Any]:
        """The entries of the catalog that differ, the constitution among them."""
        if self.constitution is None:
            return dict(self.catalog)
        kind = "cai_kedro.datasets.constitution_dataset.ConstitutionDataset"
        layer = {"kedro-viz": {"layer": "raw"}}
        return {
            **self.catalog,
            "constitution": {"type": kind, "filepath": self.constitution, "metadata": layer},
        }


class Study(_Frozen):
    """Every setting is run with every seed. The first setting is the one that the others are seen beside."""

    about: str = Field(min_length=1)
    env: str = Field(default="base", pattern=r"^\w+$", description="the environment that settings differ from")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1, strict=False)
    pipelines: tuple[str, ...] = Field(default=(WHOLE,), min_length=1, strict=False)
    to_outputs: tuple[str, ...] = Field(
        default=(), strict=False, description="the datasets that a chain ends with, as of kedro run; left out: all"
    )
    settings: dict[Name, Setting] = Field(min_length=1)
    beside: str | None = Field(
        default=None, pattern=r"^[\w-]+/\w+$", description="study/setting whose chains the first setting begins with"
    )
    show: tuple[str, ...] = Field(default=("*",), strict=False, description="the metrics in the Markdown table")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        if twice:
            raise ValueError(f"the seed {twice[0]} is there twice; each seed once, as the same seed says nothing new")
        seen: dict[str, str] = {}
        for name, setting in self.settings.items():
            if setting.constitution is not None and "constitution" in setting.catalog:
                raise ValueError(f"the setting {name!r} names its constitution twice; leave one out")
            if own := sorted({"seed", "data"} & set(setting.globals)):
                raise ValueError(
                    f"the setting {name!r} sets the dial {own[0]!r}, which the study itself sets; leave it out"
                )
            differences = repr((setting.entries, setting.parameters, setting.globals))
            if differences in seen:
                raise ValueError(f"the settings {seen[differences]!r} and {name!r} differ in nothing; leave one out")
            seen[differences] = name
        return self

    @property
    def first(self) -> str:
        """The setting that the others are seen beside."""
        return next(iter(self.settings))


def find_study(given: str, project: Path) -> Path:
    """Return the file of a study, given by its path or by its name; raises `ValueError` with the names there are."""
    for path in (Path(given), project / given, project / STUDIES / f"{given}.yml"):
        if path.is_file():
            return path
    there = sorted(path.stem for path in (project / STUDIES).glob("*.yml") if path.name != CLAIMS.name)
    raise ValueError(f"there is no study {given!r}; give a file, or one of {', '.join(there) or 'none'} ({STUDIES})")


def read_study(path: Path) -> Study:
    """Read a study; raises `ValueError` that names the file, the entry and what was expected."""
    content = _mapping(path)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_fault(error)}") from error


def read_claims(path: Path) -> list[Claim]:
    """Read `claims: [...]`; raises `ValueError` that names the file and the claim, also for an id there twice."""
    content = _mapping(path)
    entries = content.get("claims")
    if set(content) != {"claims"} or not isinstance(entries, list):
        raise ValueError(f"{path}: expected the one key claims with a list, got {', '.join(map(str, content))}")
    claims = []
    for place, entry in enumerate(entries, start=1):
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            raise ValueError(f"{path}, claim {place}: {_first_fault(error)}") from error
    ids = [claim.id for claim in claims]
    twice = [name for name in ids if ids.count(name) > 1]
    if twice:
        raise ValueError(f"{path}: the id {twice[0]!r} is there twice; rename one")
    return claims


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        # OmegaConf refuses a key that stands twice; what stands in ${…} is for the conf of a chain
        content = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}; correct it there") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping, got {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        return f"{where} is no key that a study has; remove it, or see docs/guides/study.md"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    if fault["type"] == "missing":
        return f"{where} is missing; add it"
    return f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}, got {fault['input']!r}; correct it there"
