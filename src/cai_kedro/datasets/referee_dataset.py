"""Who decides the head-to-heads behind Elo."""

from collections.abc import Mapping

from cai_kedro.datasets.plugin import PluginDataset


class RefereeDataset(PluginDataset):
    """Builds what has the methods of `core.judging.Referee`, or the method `prefer` of `core.judging.Judge`.

    `microworld` is the oracle, `engine` a language model that nothing here is trained on (a directory, a repository of
    the hub, a server), `recorded` a CSV of what people said, `human_preference` a preference model of human comparisons
    that the run never learns from.
    """

    KINDS: Mapping[str, str] = {
        "microworld": "cai_kedro.microworld.judge.MicroWorldJudge",
        "engine": "cai_kedro.datasets.engine_referee.EngineReferee",
        "recorded": "cai_kedro.datasets.recorded_referee.RecordedReferee",
        "human_preference": "cai_kedro.referees.human_preference.HumanPreferenceReferee",
    }
