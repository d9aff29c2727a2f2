"""The judge of English answers: the English world's oracle, and the rules where its grammar made no such request."""

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.judging import Judgement
from cai_kedro.englishworld.judge import UNKNOWN, EnglishWorldJudge
from cai_kedro.metrics.behaviour_rules import behaviour_of


class EnglishJudge(EnglishWorldJudge):
    """True behaviours and ratings of what the English world's grammar made; behaviours by rules of all other requests.

    An answer to a request of the grammar that the grammar did not make stays `unknown`: the rules are asked about
    requests that the oracle does not know, and give no rating.
    """

    def judge(self, messages: Conversation, response: str) -> Judgement:
        """Name the behaviour of one answer, and rate it where the oracle knows both."""
        judgement = super().judge(messages, response)
        if judgement.category == UNKNOWN:
            return Judgement(behaviour=behaviour_of(messages, response))
        return judgement
