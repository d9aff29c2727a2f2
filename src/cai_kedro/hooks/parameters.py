"""Parameters by dotted path: flattened for MLflow, checked before a run."""

import difflib
import hashlib
import inspect
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, get_type_hints

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from cai_kedro.hooks.run_names import PARAMETERS

#: Read by hooks and by the reader of conf, so no node has to ask for them; from the lineage the graph is built.
OF_HOOKS = frozenset({"threads", "model", "lineage"})

#: Blocks that no node asks for where the lineage needs no such stage; their values are in order, then.
OF_STAGES = frozenset(
    {
        *(f"baselines.human_{kind}_pairs" for kind in ("helpful", "red_team")),
        *(f"preference_labeling.{name}" for name in ("harmlessness_pairs", "sl_helpful_pairs", "labels", "cot_labels")),
        *(f"self_align.{stage}" for stage in ("self_alignment", "leave_one_out", "engraving", "cloning")),
        *("sl_cai.rows", "sl_cai.fine_tuning", "rlhf", "training", "harmfulness", "ablations"),
    }
)

_PLAIN = (bool, int, float, str)

MAX_LENGTH = 500
_KEPT = 400

_SECRET = ("password", "passwd", "passphrase", "secret", "credential", "token", "key")
_SECRET_WORDS = frozenset({*_SECRET, *(f"{word}s" for word in _SECRET if word not in ("token", "key")), "apikey"})


def flatten(parameters: Any, path: str = "") -> dict[str, Any]:
    """Return one entry per leaf: `{"rlhf": {"rl": {"kl_coef": 0.1}}}` → `{"rlhf.rl.kl_coef": 0.1}`.

    Mappings and pydantic models are followed, lists are leaves, an empty mapping is a leaf of its own.
    """
    if isinstance(parameters, BaseModel):
        parameters = parameters.model_dump(mode="json")
    if not isinstance(parameters, Mapping) or not parameters:
        return {path: parameters} if path else {}
    leaves: dict[str, Any] = {}
    for key, value in parameters.items():
        leaves |= flatten(value, f"{path}.{key}" if path else str(key))
    return leaves


def is_secret(path: str, value: Any) -> bool:
    """Tell whether a parameter may be a secret, by its name.

    `hub.token` and `api_key` are, whatever their value; a name that only holds such a word (`hftoken`) is one unless
    its value is a number, as in `max_new_tokens: 64`.
    """
    for part in path.lower().split("."):
        name = part.replace("tokenizer", "").replace("tokeniser", "")
        if _SECRET_WORDS & set(re.split(r"[^a-z0-9]+", name)):
            return True
        if not isinstance(value, bool | int | float | None) and any(word in name for word in _SECRET):
            return True
    return False


def loggable(parameters: Any) -> dict[str, str]:
    """Return the leaves as MLflow takes them: valid names, no secrets, long values cut and marked with a digest."""
    return {
        re.sub(r"[^\w.\-/ ]", "_", path)[:250]: shortened(value)
        for path, value in flatten(parameters).items()
        if not is_secret(path, value)
    }


def shortened(value: Any) -> str:
    """Write a value on at most `MAX_LENGTH` characters; what was cut is told apart by its digest."""
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | tuple | dict) else str(value)
    if len(text) <= MAX_LENGTH:
        return text
    digest = hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()[:16]
    return f"{text[:_KEPT]}… ({len(text)} characters, sha256 {digest})"


def used_by(pipelines: Iterable[Pipeline]) -> set[str]:
    """Return the paths of the parameters that nodes ask for; the empty path stands for all of them."""
    names = {name for pipeline in pipelines for name in pipeline.inputs()}
    return {name.removeprefix(PARAMETERS) for name in names if name.startswith(PARAMETERS)} | (
        {""} if "parameters" in names else set()
    )


def is_used(path: str, used: Collection[str]) -> bool:
    """Tell whether a leaf lies in one of the used blocks, or is a block that nodes use the parts of."""
    return (
        "" in used
        or path.partition(".")[0] in OF_HOOKS
        or any(path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.") for name in used)
    )


def faults(
    parameters: Mapping[str, Any],
    requested: Iterable[Pipeline],
    registered: Iterable[Pipeline],
    dials: Collection[str] = (),
) -> Iterator[str]:
    """Tell each parameter that is missing, of a wrong type or unknown, with what was expected and what to do.

    Types come from the annotations of the nodes of the requested pipelines; a key is unknown if no node of any
    registered pipeline asks for it. `dials` are the names in `globals.yml`, which `--params` does not reach.
    """
    for path, annotation in _annotated(requested).items():
        value = find(parameters, path)
        if value is _MISSING:
            leaves = flatten(parameters)
            yield f"parameter {path!r} is missing; {near(path, [*leaves, *parameters], 'add it to conf')}"
        else:
            yield from type_faults(path, value, annotation)
    used = used_by(registered)
    used |= {block for block in OF_STAGES if not is_used(block, used)}
    for path in flatten(parameters):
        if not is_used(path, used) and path in dials:
            yield f"parameter {path!r} is a dial of conf/*/globals.yml, which --params does not turn; set it there"
        elif not is_used(path, used):
            yield f"parameter {path!r} is unknown: no pipeline reads it; {near(path, {*used, *OF_HOOKS}, 'remove it')}"


_MISSING = object()


def find(parameters: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path, or a marker; Kedro keeps parameters of namespaces under flat keys, too."""
    if path in parameters:
        return parameters[path]
    value: Any = parameters
    for key in path.split("."):
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _annotated(pipelines: Iterable[Pipeline]) -> dict[str, Any]:
    return {
        name.removeprefix(PARAMETERS): annotation
        for pipeline in pipelines
        for node in pipeline.nodes
        for name, annotation in _annotations(node).items()
    }


def _annotations(node: Node) -> dict[str, Any]:
    """Return parameter → annotation; Any where the function says nothing. Inputs stand in the order of arguments."""
    arguments = inspect.signature(node.func).parameters
    hints = get_type_hints(node.func) if inspect.isfunction(node.func) else {}
    return {
        name: hints.get(argument, Any)
        for argument, name in zip(arguments, node.inputs, strict=False)
        if name.startswith(PARAMETERS)
    }


def type_faults(path: str, value: Any, annotation: Any) -> Iterator[str]:
    """Tell what does not fit the annotation, each fault with the path of the parameter."""
    try:
        # a node receives a plain value as it stands in YAML, so there "3" is no number
        TypeAdapter(annotation).validate_python(value, strict=True if annotation in _PLAIN else None)
    except ValidationError as error:
        for fault in error.errors():
            where = ".".join([path, *map(str, fault["loc"])])
            if fault["type"] == "extra_forbidden":
                *block, name = fault["loc"]
                known = _fields(annotation, block)
                inside = [f"{inner}.{name}" for inner in known if name in _fields(annotation, [*block, inner])]
                meant = f"did you mean {' or '.join(map(repr, inside))}?"
                hint = meant if inside else near(str(name), known, "remove it")
                yield f"parameter {where!r} is unknown; {hint}"
            elif fault["type"] == "missing":
                yield f"parameter {where!r} is missing; add it to conf"
            elif fault["type"] == "value_error":  # a check of our own, which says what it got and what to do
                yield f"parameter {where!r}: {fault['ctx']['error']}"
            else:
                got = "" if is_secret(where, fault["input"]) else f", got {shortened(fault['input'])!r}"
                yield f"parameter {where!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}{got}; correct it in conf"
    except PydanticSchemaGenerationError:
        return


def _fields(annotation: Any, path: Iterable[str | int]) -> list[str]:
    """Return the fields of a block inside of a block; none where that is no model of ours."""
    for name in path:
        field = getattr(annotation, "model_fields", {}).get(name)
        annotation = field.annotation if field else None
    return list(getattr(annotation, "model_fields", {}))


def near(wanted: str, known: Collection[str], otherwise: str) -> str:
    """Ask whether the known name that is most like the wanted one was meant; else say what to do."""
    matches = difflib.get_close_matches(wanted, sorted(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else otherwise
