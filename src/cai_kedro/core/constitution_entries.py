"""What all constitution formats share: strict files, and raw entries checked into principles and few-shots.

Every reader makes raw entries of one shape and checks them here, so an error always names the file, the entry, what
was expected and what to do next.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cai_kedro.core.constitution import Constitution, CritiquePrinciple, FewShots, PreferencePrinciple, check_ids
from cai_kedro.core.strict_files import plain_text, plain_value, read_text, strict_json

TWICE = "the key or id {!r} is there twice in one mapping; rename one, or start a new entry with '- '"

Checked = TypeVar("Checked", bound=BaseModel)
Principle = TypeVar("Principle", CritiquePrinciple, PreferencePrinciple)


def build(
    *,
    critiques: Any,
    critiques_at: str,
    preferences: Any,
    preferences_at: str,
    few_shots: FewShots,
    helpfulness: Any = None,
    helpfulness_at: str = "",
) -> Constitution:
    """Check raw principles of each kind; `…_at` says where they stand, for the error. None: no helpfulness ones."""
    return Constitution(
        critique_principles=_principles(CritiquePrinciple, critiques, critiques_at),
        preference_principles=_principles(PreferencePrinciple, preferences, preferences_at),
        few_shots=few_shots,
        helpfulness_principles=()
        if helpfulness is None
        else _principles(PreferencePrinciple, helpfulness, helpfulness_at),
    )


def _principles(model: type[Principle], raw: Any, where: str) -> tuple[Principle, ...]:
    principles = entries(model, raw, where)
    if not principles:
        raise ValueError(f"{where}: there is no principle; write at least one")
    try:
        check_ids(principles)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return principles


def entries(model: type[Checked], raw: Any, where: str) -> tuple[Checked, ...]:
    """Check a list of raw entries one by one; `ValueError` names the first faulty one and all its faults."""
    listed = enumerate(require_list(raw, where), start=1)
    return tuple(check(model, entry, f"{where}: {_name(entry, position)}") for position, entry in listed)


def _name(entry: Any, position: int) -> str:
    named = isinstance(entry, dict) and "id" in entry
    return f"entry {position} (id {entry['id']!r})" if named else f"entry {position}"


def check(model: type[Checked], entry: Any, where: str) -> Checked:
    """Check one raw entry; `ValueError` names the place, every fault, the fields expected and the next step."""
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        faults = "; ".join(_fault(dict(fault), tuple(model.model_fields)) for fault in error.errors())
        raise ValueError(
            f"{where}: {faults}. An entry has the fields {', '.join(model.model_fields)}; correct it and run again"
        ) from error


def _fault(fault: Mapping[str, Any], fields: Sequence[str]) -> str:
    name = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"the field {name!r} is missing"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, fields, n=1)
        return f"unknown key {name!r}" + (f", did you mean {near[0]!r}?" if near else "")
    if name and (fault["type"] in ("string_too_short", "too_short") or fault["input"] is None):
        return f"the field {name!r} is empty"
    told = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], (dict, list, tuple)) and fault["type"] == "value_error":
        return f"{name}: {told}" if name else told  # what is wrong is in the sentence, not in so much that came
    if not name:
        return f"expected a mapping of fields, got {_kind_of(fault['input'])} {str(fault['input'])[:60]!r}"
    return f"{name}: {told}, got {str(fault['input'])[:60]!r}"


def require_keys(entry: Any, expected: Sequence[str], where: str) -> None:
    """Raise `ValueError` unless the entry is a mapping with just these keys."""
    if not isinstance(entry, dict) or set(entry) != set(expected):
        got = sorted(map(str, entry)) if isinstance(entry, dict) else _kind_of(entry)
        raise ValueError(f"{where}: expected a mapping with the keys {', '.join(expected)}, got {got}")


def require_list(raw: Any, where: str) -> list[Any]:
    """Return a list; raises `ValueError` for anything else."""
    if not isinstance(raw, list):
        raise ValueError(f"{where}: expected a list, got {_kind_of(raw)}; write its entries there, a '- ' before each")
    return raw


def _kind_of(raw: Any) -> str:
    """Say what came where it is of a wrong kind; an empty file or field is nothing."""
    return "nothing" if raw is None else type(raw).__name__


def require_text(raw: Any, where: str) -> str:
    """Return a text that is not empty; raises `ValueError` for anything else."""
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"{where}: expected a text that is not empty, got {raw!r}")
    return raw


def require_only(raw: Any, where: str) -> str:
    """Return the text of a list of one; raises `ValueError` for anything else."""
    texts = require_list(raw, where)
    if len(texts) != 1:
        raise ValueError(f"{where}: expected a list of one text, got {len(texts)}")
    return require_text(texts[0], where)


# --- files ---


class _StrictLoader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """YAML with every fault at its line: a key twice in one mapping (PyYAML would keep the last), a broken text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _fault_at(key, TWICE.format(key.value))
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        try:
            return plain_text(super().construct_scalar(node))
        except ValueError as error:
            raise _fault_at(node, str(error)) from error

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # a date that is none, a number that is too long
            raise _fault_at(node, f"{error}; put the text in quotes") from error


# pydantic would read bytes as a text
_StrictLoader.add_constructor("tag:yaml.org,2002:binary", yaml.SafeLoader.construct_undefined)


def _fault_at(node: yaml.Node, fault: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, fault, node.start_mark)


def load(path: Path) -> Any:
    """Read YAML or JSON by the file's suffix; raises `ValueError` that names the file, also for a duplicate key."""
    if path.suffix not in (".json", ".yml", ".yaml"):
        raise ValueError(f"{path}: a constitution is a folder or a .yml, .yaml, .json or .txt file")
    text = read_text(path)
    try:
        if path.suffix == ".json":
            return plain_value(strict_json(text))
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ": ".join(part for part in (error.context, error.problem) if part)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{path}: {what}{where}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply; expected a list of entries with fields") from error
