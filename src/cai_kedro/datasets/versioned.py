"""What our versioned datasets share: local paths, whole artifacts only, and a run that reads what it wrote."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kedro.io import AbstractVersionedDataset, DatasetError, Version

from cai_kedro.core.durable import part_of, remove, remove_parts, rename_durably
from cai_kedro.datasets.durable import told_when_full

In = TypeVar("In")
Out = TypeVar("Out")


class LocalVersionedDataset(AbstractVersionedDataset[In, Out]):
    """A file or directory on a local (or mounted) disk, under `filepath/<version>/<name>` if versioned.

    Not through fsspec: models are directories that are mapped into memory, and a rename has to be atomic.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Raises `DatasetError` for a URL.

        Args:
            filepath: path of the artifact, without the version.
            version: which version to load and to save; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        path = os.fspath(filepath)
        if "://" in path:
            raise DatasetError(f"{type(self).__name__} works on local or mounted disks, got the URL {path}")
        self.metadata = metadata
        super().__init__(PurePosixPath(path), version, glob_function=self._versions)

    def resolve_load_version(self) -> str | None:
        """Return the pinned version, else the one that this run saved, else the latest.

        Kedro caches the latest version per dataset object. A transcoded name has two objects, and the one that loads
        must see what the other saved, even if somebody asked for its version before.
        """
        if self._version and not self._version.load and self._version.save:
            own = self._get_versioned_path(self._version.save)
            if self._exists_function(str(own)):
                return str(self._version.save)
        return super().resolve_load_version()

    def _versions(self, _: str) -> list[str]:
        """Return every version's path. Kedro's pattern would read a folder's name such as `runs[1]` as a pattern."""
        path = Path(self._filepath)
        return [str(found) for found in path.glob(f"*/{glob.escape(path.name)}")]

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        """Give a temporary path beside the target; it becomes the target if nothing goes wrong, else it is removed."""
        target = self._target()
        temporary = part_of(target)
        remove(temporary)
        try:
            with told_when_full(target):
                yield temporary
                if temporary.is_dir():
                    remove(target)  # a directory replaces only an empty one; versioned targets do not exist yet
                rename_durably(temporary, target)
        finally:
            remove(temporary)

    def _target(self) -> Path:
        """Return where to save, its folder made; what killed runs left of this artifact is removed first."""
        target = Path(self._get_save_path())
        folders = Path(str(self._filepath)).glob("*/") if self._version else [target.parent]
        for folder in folders:
            remove_parts(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
