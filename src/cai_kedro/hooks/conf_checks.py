"""What has to be in order in conf before a run: the environment, the files, the dials, the names of pipelines."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from kedro.config import AbstractConfigLoader, MissingConfigException
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.parameters import near

_READ = ("globals", "parameters", "catalog", "mlflow", "credentials")
_SUFFIXES = (".yml", ".yaml", ".json")

DType = Literal["auto", "float32", "bfloat16", "float16"]


class _Dials(BaseModel):
    """`conf/<env>/globals.yml`; an overlay may have dials of its own."""

    model_config = ConfigDict(extra="allow", strict=True)

    seed: int = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "cpu"
    dtype: DType = "auto"
    engine_dtype: DType = "auto"
    data: Annotated[str, Field(min_length=1)] = "data"


_ALLOWED = {
    "seed": "a whole number",
    "device": "auto, cpu, cuda, cuda:0, cuda:1, … or mps",
    "dtype": f"one of {', '.join(get_args(DType))}",
    "engine_dtype": f"one of {', '.join(get_args(DType))}",
    "data": "a folder",
}


def environment_faults(loader: AbstractConfigLoader) -> Iterator[str]:
    """Tell whether the environment of a run is none of the folders in conf."""
    conf = Path(loader.conf_source)
    if "://" in str(loader.conf_source) or conf.is_file():
        return
    if not conf.is_dir():
        yield f"there is no folder {conf}; start in the project folder, or correct --conf-source"
        return
    env = loader.env or loader.default_run_env  # type: ignore[attr-defined]
    known = sorted(folder.name for folder in conf.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if env and not (conf / env).is_dir():
        yield f"there is no environment {env!r} in {conf}; {_near_or_list(env, known)}"


def _near_or_list(name: str, known: Collection[str]) -> str:
    """Ask for the nearest name and list all."""
    near_one = near(name, known, "")
    return f"{near_one} {'There are' if near_one else 'there are'} {', '.join(known)}".strip()


def pipeline_faults(requested: Collection[str] | None, registered: Collection[str]) -> Iterator[str]:
    """Tell each name of `--pipelines` that no pipeline has."""
    for name in requested or ():
        if name not in registered:
            names = sorted(set(registered) - {"__default__"})
            yield f"there is no pipeline {name!r}; {_near_or_list(name, names)}"


def file_faults(loader: AbstractConfigLoader) -> Iterator[str]:
    """Tell each file of conf that cannot be read, with its line; then what else keeps conf from being put together."""
    faults = list(syntax_faults(loader.conf_source, loader.env or loader.default_run_env))  # type: ignore[attr-defined]
    yield from faults
    for key in () if faults else _READ:
        try:
            loader[key]
        except MissingConfigException:  # no overlay need have one of each
            if key in ("parameters", "catalog", "mlflow"):
                yield f"there is no {key}*.yml in {loader.conf_source}; put the one of conf/base back"
        except PreflightError:  # says what is wrong by itself
            raise
        except Exception as error:  # OmegaConf and Kedro raise what they like; told once, with the kind of file
            yield f"conf, {key}*.yml: {' '.join(str(error).split())}; correct it there"
            return


def syntax_faults(conf_source: str | Path, env: str | None) -> Iterator[str]:
    """Tell each file of base and the environment that is no YAML, with the line."""
    for name in dict.fromkeys(("base", env)):
        folder = Path(conf_source) / str(name)
        if name and folder.is_dir():
            for file in sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.is_file()):
                yield from _syntax_faults(file)


def _syntax_faults(file: Path) -> Iterator[str]:
    try:
        OmegaConf.create(file.read_bytes().decode())
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        yield f"{file}, line {line}: this is no UTF-8; save it as UTF-8"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        yield f"{file}{where}: {error.problem or error.context}; correct it there"
    except yaml.YAMLError as error:  # a control character, for instance
        yield f"{file}: {' '.join(str(error).split())}; correct it there"
    except OSError as error:
        yield f"{file}: {error.strerror or error}; make it readable, or remove it"
    except Exception as error:  # what OmegaConf has to say of `a: ${b`
        yield f"{file}: {' '.join(str(error).split())}; correct it there"


def dial_faults(dials: Mapping[str, Any]) -> Iterator[str]:
    """Tell each dial of `globals.yml` whose value cannot be meant, with what may stand there."""
    try:
        _Dials.model_validate(dict(dials))
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            yield (
                f"the dial {name!r} of conf/*/globals.yml is {fault['input']!r}, expected {_ALLOWED[name]}; "
                f"correct it there"
            )
