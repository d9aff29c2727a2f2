"""Which model it is, without loading it: `X.model@digest`."""

from pathlib import Path
from typing import NoReturn

from kedro.io import DatasetError

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.model_files import check_model_directory
from cai_kedro.engines.model_reference import resolve_directory
from cai_kedro.engines.weight_files import weights_digest


class ModelDigestDataset(LocalVersionedDataset[NoReturn, str]):
    """The digest of the weights in the directory that `@checkpoint` writes. Read only."""

    def load(self) -> str:
        """Return the sha256; raises `DatasetError` that says which files a directory misses."""
        try:
            return weights_digest(check_model_directory(resolve_directory(Path(self._get_load_path()))))
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a model is saved as `@checkpoint`."""
        raise DatasetError(f"{self._filepath} is read as a digest; save the model as @checkpoint")
