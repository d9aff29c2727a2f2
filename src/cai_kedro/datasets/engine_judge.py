"""A language model that names the behaviour of answers."""

import logging
from collections.abc import Sequence

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.judging import Judgement
from cai_kedro.datasets.letter_reader import LetterReader
from cai_kedro.judging.behaviour_question import behaviour_probabilities, most_likely

logger = logging.getLogger(__name__)


class EngineJudge(LetterReader):
    """Asks a model which of five descriptions fits an answer (`core.behaviours`), and rates nothing."""

    rates = False

    def judge(self, messages: Conversation, response: str) -> Judgement:
        """Say how the response behaves."""
        return self.judge_all([(messages, response)])[0]

    def judge_all(self, answers: Sequence[tuple[Conversation, str]]) -> list[Judgement]:
        """Say how each response behaves; what does not fit into the model's context has no behaviour."""
        named = most_likely(behaviour_probabilities(self.engine, answers))
        if None in named:
            logger.warning(
                "%d of %d answers do not fit into the judge's context: they have no behaviour",
                named.count(None),
                len(named),
            )
        return [Judgement(behaviour=behaviour) for behaviour in named]
