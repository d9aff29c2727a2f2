"""Plain records, in JSON."""

import json
from pathlib import Path
from typing import Any

from cai_kedro.datasets.file_dataset import FileDataset


class JsonDataset(FileDataset[Any, Any]):
    """Whatever JSON can hold; a number that is not finite is refused, because no browser reads it."""

    def _format(self) -> str:
        return "JSON"

    def _encode(self, data: Any) -> bytes:
        return json.dumps(data, allow_nan=False).encode()

    def _decode(self, content: bytes, path: Path) -> Any:
        return json.loads(content)
