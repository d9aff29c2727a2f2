"""What a run is computed on."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from cai_kedro.engines.machine import machine_facts
from cai_kedro.engines.precision import DType


class MachineDataset(AbstractDataset[NoReturn, dict[str, str]]):
    """The facts of `engines.machine.machine_facts`, as they are when it is loaded. Read only."""

    def __init__(
        self, *, device: str, dtype: DType, engine_dtype: DType, metadata: dict[str, Any] | None = None
    ) -> None:
        """Nothing is looked up yet.

        Args:
            device: `cpu` or `cuda`; `auto` is resolved.
            dtype: of the products in training; `auto` is resolved.
            engine_dtype: in which models are read; `auto` is resolved.
            metadata: for plugins such as kedro-viz.
        """
        self._device, self._dtype, self._engine_dtype = device, dtype, engine_dtype
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """Return the facts."""
        return machine_facts(self._device, self._dtype, self._engine_dtype)

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a machine is what it is."""
        raise DatasetError("the machine of a run is looked up, not saved")

    def _describe(self) -> dict[str, Any]:
        return {"device": self._device, "dtype": self._dtype, "engine_dtype": self._engine_dtype}
