"""Objects that the catalog builds from a class and its arguments, so that no pipeline has to name the class."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from cai_kedro.core.exam import NOBODY


class PluginDataset(AbstractDataset[NoReturn, Any]):
    """Builds an object on load. `kind` is one of `KINDS`, the dotted path of a class of your own, or `none` for nobody.

    The class is imported on load only: what a run does not use it does not import.
    """

    KINDS: Mapping[str, str] = {}

    def __init__(self, *, kind: str, metadata: dict[str, Any] | None = None, **arguments: Any) -> None:
        """Raises `DatasetError` for a kind that is neither known nor a dotted path.

        Args:
            kind: a known kind or a dotted path.
            metadata: for plugins such as kedro-viz.
            arguments: what the class is called with.
        """
        if kind not in (*self.KINDS, NOBODY) and "." not in kind:
            near = difflib.get_close_matches(kind, self.KINDS, n=1) or list(self.KINDS)
            raise DatasetError(
                f"{type(self).__name__} knows no kind {kind!r}; did you mean {' or '.join(near)}? "
                f"A class of your own is named by its dotted path"
            )
        self.metadata = metadata
        self._kind = kind
        self._arguments = arguments

    def load(self) -> Any:
        """Return a new object; raises `DatasetError` for nobody, and if no such class is found or it refuses."""
        if self._kind == NOBODY:
            raise DatasetError(f"this entry of the catalog is of kind {NOBODY!r}: a run without it asks nobody")
        module, _, name = self.KINDS.get(self._kind, self._kind).rpartition(".")
        try:
            return getattr(importlib.import_module(module), name)(**self._arguments)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise DatasetError(f"{module}.{name} could not be built with {_shown(self._arguments)}: {error}") from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: the object is described by the catalog."""
        raise DatasetError(f"a {self._kind} is described by the catalog, not saved by a run")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"kind": self._kind, **_shown(self._arguments)}


def _shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments without the keys that Kedro put in the place of the names of credentials."""
    return {
        name: "…" if name == "credentials" and value else _shown(value) if isinstance(value, Mapping) else value
        for name, value in arguments.items()
    }
