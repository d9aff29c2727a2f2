"""The judge of the evaluation."""

from collections.abc import Mapping

from cai_kedro.datasets.plugin import PluginDataset


class JudgeDataset(PluginDataset):
    """Builds what has the methods of `core.judging.Judge`.

    `microworld` is the oracle, which knows the truth: it enters a run through here and nowhere else. `rules` and
    `engine`, a language model that nothing here is trained on, name the behaviour of English answers; `english` is the
    oracle of the English world, and rules for what its grammar did not make.
    """

    KINDS: Mapping[str, str] = {
        "microworld": "cai_kedro.microworld.judge.MicroWorldJudge",
        "english": "cai_kedro.referees.english_judge.EnglishJudge",
        "rules": "cai_kedro.metrics.behaviour_rules.RulesJudge",
        "engine": "cai_kedro.datasets.engine_judge.EngineJudge",
    }
