"""What is left of a node function when some arguments are fixed."""

import inspect
from typing import get_type_hints

import pytest
from kedro.pipeline import Node

from cai_kedro.core.binding import bind


def mixed(first: int, arm: str, seed: float, **tables: list[int]) -> tuple[int, str, float, dict[str, list[int]]]:
    """Return what came."""
    return first, arm, seed, tables


def test_the_others_keep_place_name_and_type() -> None:
    bound = bind(mixed, arm="a")
    assert bound(1, 2.0) == (1, "a", 2.0, {})
    assert bound(seed=2.0, first=1, human=[3]) == (1, "a", 2.0, {"human": [3]})
    assert list(inspect.signature(bound).parameters) == ["first", "seed", "tables"]
    assert get_type_hints(bound)["seed"] is float
    assert "arm" not in get_type_hints(bound)
    assert bound.__name__ == "mixed"


def test_kedro_runs_it() -> None:
    node = Node(bind(mixed, arm="a"), inputs={"first": "x", "seed": "params:seed", "human": "t"}, outputs="y")
    assert node.run({"x": 1, "params:seed": 2.0, "t": [3]}) == {"y": (1, "a", 2.0, {"human": [3]})}


def test_what_cannot_be_fixed_is_refused() -> None:
    with pytest.raises(TypeError, match=r"mixed\(.*has no arguments \['policy'\]"):
        bind(mixed, policy="a")
    with pytest.raises(TypeError, match=r"print\(\*args.*has \*args, so none"):
        bind(print, sep=" ")
