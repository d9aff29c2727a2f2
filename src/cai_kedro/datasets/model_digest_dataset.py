"""Which model it is, without loading it: `X.model@digest`."""

from pathlib import Path
from typing import NoReturn

from kedro.io import DatasetError

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.model_reference import check_model, model_digest


class ModelDigestDataset(LocalVersionedDataset[NoReturn, str]):
    """The digest of the weights in the directory that `@checkpoint` writes. Read only."""

    def load(self) -> str:
        """Return the sha256; raises `DatasetError` that says which files a directory misses."""
        try:
            directory = Path(self._get_load_path())
            check_model(directory)
            return model_digest(directory)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a model is saved as `@checkpoint`."""
        raise DatasetError(f"{self._filepath} is read as a digest; save the model as @checkpoint")
