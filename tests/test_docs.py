"""Numbers that the decisions quote as settings are those of the configuration."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]


def leaves(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield each name of the parameters that holds a number, at any depth."""
    for name, value in node.items() if isinstance(node, dict) else ():
        if isinstance(value, int | float):
            yield name, float(value)
        yield from leaves(value)


def test_quoted_settings_are_those_of_the_base_environment() -> None:
    files = (PROJECT / "conf" / "base").glob("parameters*.yml")
    parameters = {pair for file in files for pair in leaves(yaml.safe_load(file.read_text(encoding="utf-8")))}
    text = (PROJECT / "docs" / "decisions.md").read_text(encoding="utf-8")
    quoted = {(name, float(value)) for name, value in re.findall(r"`(\w+): ([-\d.e]+)`", text)}
    assert ("value_trunk_gradient", 0.1) in quoted
    assert quoted <= parameters
