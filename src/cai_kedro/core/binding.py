"""Node functions with some arguments fixed at wiring: names of policies, not data and not parameters."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def bind(function: Callable[..., Any], **fixed: Any) -> Callable[..., Any]:
    """Return the function without the arguments `fixed`; the others keep their annotations, by which Kedro types them.

    Raises `TypeError` for an argument that the function does not have, and for a function with `*args`.
    """
    signature = inspect.signature(function)
    if inspect.Parameter.VAR_POSITIONAL in {argument.kind for argument in signature.parameters.values()}:
        raise TypeError(f"{function.__name__}{signature} has *args, so none of its arguments can be fixed")
    if unknown := sorted(set(fixed) - set(signature.parameters)):
        raise TypeError(f"{function.__name__}{signature} has no arguments {unknown}")
    left = signature.replace(parameters=[each for name, each in signature.parameters.items() if name not in fixed])
    others = next((name for name, each in left.parameters.items() if each.kind is each.VAR_KEYWORD), "")

    @functools.wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Any:
        given = left.bind(*args, **kwargs).arguments
        further = given.pop(others, {})
        return function(**given, **further, **fixed)

    bound.__signature__ = left  # type: ignore[attr-defined]
    bound.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name not in fixed}
    return bound
