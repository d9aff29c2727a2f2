"""Rows of a data set of the Hugging Face hub, at one commit, or of a folder in its layout."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from cai_kedro.datasets.row_files import CheckNames, Rows

_SHOWN = 7


class HubData(BaseModel):
    """Which rows of which data set.

    Attributes:
        repo: a repository of data sets on the hub, or a folder.
        revision: the 40 digits of one commit; a folder has none.
        split: one of its splits.
        name: one of its configurations, where it has several.
        data_dir: one of its folders, where it has several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    split: str = "train"
    name: str | None = None
    data_dir: str | None = None

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if self._is_folder and self.revision is not None:
            raise ValueError(f"{self.repo} is a folder, which has no revision; leave `revision` out")
        if not self._is_folder and self.revision is None:
            raise ValueError(
                f"{self.repo} is no folder, and a data set of the hub needs `revision`, 40 hexadecimal digits: what "
                f"stands there may change"
            )
        return self

    @property
    def _is_folder(self) -> bool:
        return Path(self.repo).expanduser().is_dir()

    @property
    def title(self) -> str:
        """What messages call it."""
        revision = f"@{self.revision[:_SHOWN]}" if self.revision else ""
        inside = ", ".join(part for part in (self.name, self.data_dir, self.split) if part)
        return f"{self.repo}{revision} ({inside})"

    def rows(self, check_names: CheckNames) -> Rows:
        """Give the rows, counted from 1; raises `ValueError` where the data set cannot be loaded."""
        table = self._load()
        check_names(self.title, table.column_names)
        for number, row in enumerate(table, start=1):
            yield number, lambda row=row: row  # type: ignore[misc]

    def _load(self) -> Any:
        from kedro_datasets.huggingface import HFDataset  # noqa: PLC0415 - a second, and most runs read files alone

        class Quiet(HFDataset):  # type: ignore[misc,unused-ignore]
            """Is described without asking the hub, which would wait half a minute where there is no network."""

            def _describe(self) -> dict[str, Any]:
                return {"dataset_name": self.dataset_name, **self._dataset_kwargs}

        repo = str(Path(self.repo).expanduser()) if self._is_folder else self.repo
        chosen = {key: getattr(self, key) for key in ("revision", "split", "name", "data_dir")}
        try:
            with _without_progress():
                return Quiet(
                    dataset_name=repo, dataset_kwargs={key: value for key, value in chosen.items() if value}
                ).load()
        except Exception as error:  # the library's errors have no class in common
            told = " ".join(str(error).split())[:300]
            raise ValueError(
                f"the data set {self.title} cannot be loaded ({type(error).__name__}: {told}); check repo, revision, "
                f"split, name and data_dir. Without a network it must have been loaded once before, or give the rows "
                f"as a file"
            ) from error


@contextmanager
def _without_progress() -> Iterator[None]:
    from datasets.utils import (  # noqa: PLC0415 - as above
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()
