"""The judge of the evaluation."""

from collections.abc import Mapping

from cai_kedro.datasets.plugin import PluginDataset


class JudgeDataset(PluginDataset):
    """Builds what has the methods of `core.judging.Judge`.

    `microworld` is the oracle, which knows the truth: it enters a run through here and nowhere else.
    """

    KINDS: Mapping[str, str] = {"microworld": "cai_kedro.microworld.oracle.MicroWorldJudge"}
