"""What has to be in order before a run: each check tells what is wrong, where, what was expected, and what to do."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from pydantic import BaseModel, ValidationError

from cai_kedro.hooks.parameters import flatten
from cai_kedro.hooks.quiet import wanted_threads
from cai_kedro.hooks.run_names import artifact, is_parameter

#: A whole run on the micro world writes about 200 MB.
MIN_FREE_BYTES = 500_000_000

#: What Kedro begins its message with where a dataset raises anything.
_FRAME = "Failed while loading data from dataset"

#: The principles of the micro world, in its few hundred words.
SHIPPED_CONSTITUTION = "conf/base/constitution"

#: What people give beside prompts and further referees; all of it is quick to read.
_GIVEN = (
    *("constitution", "free_english_constitution", "human_raters", "judge", "referee", "comparison_items"),
    *("self_align_rules", "seed_tasks", "question_types", "benchmark_answers"),
)


def input_faults(pipeline: Pipeline, catalog: CatalogProtocol, registered: Mapping[str, Pipeline]) -> Iterator[str]:
    """Tell each input that is not there, and each one written by people that cannot be read."""
    made_by = {
        artifact(output): name
        for name, other in registered.items()
        if name != "__default__"
        for output in other.all_outputs()
    }
    for name in sorted(pipeline.inputs()):
        if is_parameter(name):
            continue
        maker = made_by.get(artifact(name))
        dataset = catalog.get(name)
        if dataset is None:
            yield f"the dataset {name!r} is not in the catalog; add it to conf, or correct its name in the pipeline"
        elif _is_pinned(dataset):
            continue  # `version_faults` tells which versions there are
        elif _tells_existence(dataset) and not dataset.exists():
            step = f"make it with `kedro run --pipelines={maker}`" if maker else "put it there or correct conf"
            yield f"the dataset {name!r} is not there{_place(dataset)}; {step}"
        elif maker is None and (name in _GIVEN or name.endswith("_prompts") or hasattr(dataset, "KINDS")):
            yield from _read_fault(name, dataset)
        elif (
            _is_model(name) and getattr(dataset, "reads_files", True) and isinstance(dataset, AbstractVersionedDataset)
        ):
            yield from _model_fault(name, dataset)


def server_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell which entries of models cannot be used, and what servers do not do that their entries promise."""
    faults: dict[str, list[str]] = {}
    for name in sorted(_asked(pipeline, catalog)):
        try:
            check = getattr(catalog.get(name), "check", None)
            fault = check() if check else None
        except DatasetError as error:
            fault = str(error.__cause__ or error)
        if fault:
            faults.setdefault(fault, []).append(name)
    for fault, names in faults.items():  # most entries share their settings
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        yield f"the model {names[0]!r}{others}: {fault}"


def _asked(pipeline: Pipeline, catalog: CatalogProtocol) -> set[str]:
    """Return the models of a run, and the entries of the catalog with an engine that plays a role."""
    models = {name for node in pipeline.nodes for name in node.inputs if _is_model(name)}
    given = {name for name in pipeline.inputs() if not is_parameter(name)}
    return models | {name for name in given if hasattr(catalog.get(name), "reads_files")}


def _is_model(name: str) -> bool:
    return artifact(name).endswith(".model")


def _read_fault(name: str, dataset: AbstractDataset) -> Iterator[str]:
    try:
        check = getattr(dataset.load(), "check", None)
        if check and (fault := check()):
            yield f"the dataset {name!r} cannot be asked: {fault}"
    except Exception as error:  # whatever a dataset raises is for the reader to see, once
        text = _message(error)
        path = getattr(dataset, "_filepath", None)
        place = _place(dataset) if path and Path(path).name not in text else ""
        yield f"the dataset {name!r} cannot be read{place}: {text}"


def _message(error: BaseException) -> str:
    """Return what the outermost error with words of its own says.

    Our datasets say what is wrong and where, and keep the library's error as the cause; Kedro puts a frame around the
    error of any other dataset, which holds the whole entry.
    """
    cause = error.__cause__
    if cause is not None and str(error).startswith(_FRAME):
        return _message(cause)
    text = str(error)
    told = isinstance(error, ValueError | DatasetError | OSError) and text
    return text if told else f"{type(error).__name__}: {text}"


def _model_fault(name: str, dataset: AbstractVersionedDataset) -> Iterator[str]:
    from cai_kedro.engines.model_reference import reference_to  # noqa: PLC0415 - transformers

    try:
        reference_to(Path(dataset._get_load_path())).directory()
    except (ValueError, OSError, DatasetError) as error:
        yield f"the model {artifact(name)!r} cannot be read: {error}"


def _tells_existence(dataset: AbstractDataset) -> bool:
    return type(dataset)._exists is not AbstractDataset._exists


def _is_pinned(dataset: AbstractDataset) -> bool:
    """Tell whether `--load-versions` asks for a version that is not there."""
    version = getattr(dataset, "_version", None)
    return bool(version and version.load) and not dataset.exists()


def _place(dataset: AbstractDataset) -> str:
    path = getattr(dataset, "_filepath", None)
    return f" (looked at {path})" if path else ""


def model_faults(base_model: Any, project_path: Path) -> Iterator[str]:
    """Tell what keeps the pretrained model from being loaded: the files, or the pinned revision of the hub."""
    source: str = _field(base_model, "source")
    layout: Any = _field(base_model, "layout") or "auto"
    if source == "path":
        path = _field(base_model, "path")
        if not path:
            yield "base_model.source is 'path', but base_model.path is empty; give the model's directory"
            return
        yield from _reference_fault("base_model.path", project_path, path=path, layout=layout)
    elif source == "gguf" and (file := _field(base_model, "gguf")):
        from cai_kedro.engines.gguf_file import GGUFFile  # noqa: PLC0415 - imports transformers

        try:
            GGUFFile(file, layout).at(project_path).check()
        except ValueError as error:
            yield f"base_model.gguf: {error}"
    elif source == "hub":
        repo, revision = _field(base_model, "repo"), _field(base_model, "revision")
        if not repo or not revision:
            yield (
                "base_model.source is 'hub', but base_model.repo or base_model.revision is empty; "
                "give the repository and one commit of it, 40 hexadecimal digits"
            )
            return
        yield from _reference_fault("base_model.repo", project_path, repo=repo, revision=revision, layout=layout)
    if adapter := _field(base_model, "adapter"):
        yield from _adapter_fault(adapter, project_path)


def _adapter_fault(adapter: str, project_path: Path) -> Iterator[str]:
    """Tell that there is no adapter; whether it fits the model shows when both are read."""
    from cai_kedro.engines.adapted_model import adapter_directory  # noqa: PLC0415 - imports transformers
    from cai_kedro.englishworld.shipped import shipped_adapter  # noqa: PLC0415

    try:
        adapter_directory(shipped_adapter() if adapter == "shipped" else project_path / Path(adapter).expanduser())
    except ValueError as error:
        yield f"base_model.adapter: {error}"


def _reference_fault(name: str, project_path: Path, **given: Any) -> Iterator[str]:
    """Tell what is wrong with a model that lies elsewhere; of the hub, all but its weights is fetched."""
    from cai_kedro.engines.model_reference import ModelReference  # noqa: PLC0415 - imports transformers

    try:
        ModelReference(**given).at(project_path).check()
    except ValidationError as error:
        yield f"{name}: {'; '.join(fault['msg'] for fault in error.errors())}"
    except ValueError as error:
        yield f"{name}: {error}"


def _field(block: Any, name: str) -> Any:
    """Return a leaf of that name, wherever it stands in the block."""
    fields = flatten(block.model_dump() if isinstance(block, BaseModel) else block)
    return next((value for path, value in fields.items() if path.rpartition(".")[2] == name), None)


def constitution_warnings(pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path) -> Iterator[str]:
    """Tell when a model of the user's own reads the constitution that is worded for the micro world."""
    dataset = catalog.get("constitution") if "constitution" in pipeline.inputs() else None
    parameters = catalog.load("parameters") if "parameters" in catalog else {}
    source = _field(parameters.get("base_model", {}), "source")
    shipped = (project_path / SHIPPED_CONSTITUTION).resolve()
    if (
        source in ("path", "gguf", "hub")
        and dataset is not None
        and Path(getattr(dataset, "_filepath", "")).resolve() == shipped
    ):
        yield (
            f"the constitution in force, {SHIPPED_CONSTITUTION}, is worded for the micro world, and base_model.source "
            f"is {source!r}: give one in the words of your model, in conf/<environment>/constitution, and name it in "
            f"the catalog entry `constitution` (docs/guides/own_constitution.md)"
        )


def thread_faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Tell whether the number of threads is none; no node asks for it."""
    try:
        wanted_threads(parameters)
    except ValueError as error:
        yield f"{error}; correct the parameter `threads` or OMP_NUM_THREADS"


def disk_faults(folder: Path, min_free: int = MIN_FREE_BYTES) -> Iterator[str]:
    """Tell whether the folder cannot be written to, or has no room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield f"cannot write to {folder} ({error.strerror}); make it writable, or link it to a folder that is"
        return
    free = shutil.disk_usage(folder).free
    if free < min_free:
        yield (
            f"{folder} has {free / 1e6:.0f} MB left, a run needs about {min_free / 1e6:.0f} MB; "
            f"free some, for instance old versions under {folder}"
        )
