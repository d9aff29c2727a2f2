"""Those who label the human comparisons."""

from collections.abc import Mapping

from cai_kedro.datasets.plugin import PluginDataset


class RatersDataset(PluginDataset):
    """Builds what has the methods of `core.judging.Raters`.

    `microworld` simulates people by the oracle with noise, `recorded` reads what people said from a file.
    """

    KINDS: Mapping[str, str] = {
        "microworld": "cai_kedro.microworld.raters.SimulatedRaters",
        "recorded": "cai_kedro.datasets.recorded_raters.RecordedRaters",
    }
