"""A text, such as a page."""

from pathlib import Path

from cai_kedro.datasets.file_dataset import FileDataset


class TextDataset(FileDataset[str, str]):
    """A text in UTF-8."""

    def _format(self) -> str:
        return "text in UTF-8"

    def _encode(self, data: str) -> bytes:
        return data.encode()

    def _decode(self, content: bytes, path: Path) -> str:
        return content.decode()
