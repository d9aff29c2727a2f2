"""Figures of plotly, in JSON."""

import json
from pathlib import Path
from typing import Any, NewType

import plotly.graph_objects as go
import plotly.io as pio

from cai_kedro.datasets.digest import read_verified
from cai_kedro.datasets.file_dataset import FileDataset

PlotlyPreview = NewType("PlotlyPreview", dict[str, Any])  # kedro-viz goes by this name


class FigureDataset(FileDataset[go.Figure, go.Figure]):
    """A figure as plotly's JSON. kedro-viz shows its `preview`."""

    def preview(self) -> PlotlyPreview:
        """Return the figure as plain records."""
        return PlotlyPreview(json.loads(read_verified(Path(self._get_load_path()))))

    def _format(self) -> str:
        return "a figure of plotly (JSON)"

    def _encode(self, data: go.Figure) -> bytes:
        return str(data.to_json()).encode()

    def _decode(self, content: bytes, path: Path) -> go.Figure:
        return pio.from_json(content.decode())
