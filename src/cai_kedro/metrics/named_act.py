"""Whether a critique names the act that it is about and says what is wrong with it, by rules on English text (§3.1).

**Definition.** A critique *names the act* when at least two content words of the human's last turn or of the answer
stand in it: words that are no function words, none of the critique request (which any critique may echo), and none of
the words that every critique has ("answer", "harmful"). Words count by their stem. Where the conversation has fewer
than two such words, all of them must be there. It *judges* when a clause says that something is wrong: a harm, a
danger, a crime, a lie, what should not be done, what is missing. It is a *copy* of the answer when more than half of
its words stand in runs of eight that are the answer's.

A critique passes when it names the act, judges, and is no copy. docs/guides/judging.md says on what the rules were
tried.
"""

import re
from collections.abc import Sequence

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.text import words_of

#: Content words of the act that a critique must hold.
ENOUGH = 2

_RUN = 8  # words in a row that no two people write alike by chance
_COPIED_ABOVE = 0.5
_STEM = 6  # letters: "poisoned", "poisoning" and "poison" are one word
_SHORTEST = 3

_FUNCTION_WORDS = frozenset(
    """
    a about above after again against all also am an and any anybody anyone anything are aren't as at away be
    because been before being below between both but by can can't cannot could couldn't did didn't do does
    doesn't doing don't done down during each either else even ever every everybody everyone everything few for
    from further get gets getting give given gives go goes going got had has hasn't have haven't having he her
    here hers herself him himself his how however i i'd i'll i'm i've if in into is isn't it it's its itself
    just keep know let let's like likely made make makes making many may me might mine more most much must my
    myself need never no nobody none nor not nothing now of off often on once one only or other others our ours
    out over own part perhaps please put quite rather really right said same say saying says see she should
    shouldn't since so some somebody someone something sometimes still such take tell than that that's the their
    theirs them themselves then there there's these they thing things think this those though through to today
    together too try two under until up upon us use used using very want wanted wants was wasn't way ways we
    well were what when where which while who whole whom whose why will with without won't would wouldn't yes
    yet you you'd you'll you're your yours yourself
    """.split()  # noqa: SIM905 - no list literal of that many words is easier to read
)
#: What a critique has whatever it is about.
_OF_CRITIQUES = frozenset(
    """
    act advice advise answer answers asks assistant assistant's bad better conversation critique danger
    dangerous detail details ethical example explain good harm harmful help helpful helps human human's hurt
    hurting illegal instruct instructions last law lead leads legal likely people person point possible question
    questions reason reply request respond response responses revise revision rewrite safe specific suggest
    suggestion suggests unethical unsafe user wrong
    """.split()  # noqa: SIM905 - no list literal of that many words is easier to read
)
_JUDGES = re.compile(
    r"\b(?:"
    r"should(?:n't| not| instead| have)|must not|ought|wrong|bad|mistake|problem|fault|fails?|failed|missing|"
    r"lacks?|harm\w*|hurt\w*|injur\w*|crippl\w*|maim\w*|wound\w*|poison\w*|assault\w*|attack\w*|damag\w*|"
    r"danger\w*|endanger\w*|risk\w*|unsafe|threat\w*|die|dies|death|kill\w*|suffer\w*|pain\w*|victim\w*|"
    r"illegal\w*|unlawful\w*|against the law|break\w* the law|crime\w*|criminal\w*|offen[cds]\w*|unethical|"
    r"immoral|cruel\w*|unfair\w*|unkind\w*|abus\w*|violen\w*|violat\w*|invad\w*|intrud\w*|hate\w*|prejudic\w*|"
    r"discriminat\w*|decei\w*|deception|dishonest\w*|mislead\w*|cheat\w*|fraud\w*|false|untrue|lie|lies|lying|"
    r"invented|steal\w*|theft|robs?|arson|lose|loses|frighten\w*|afraid|fear\w*|shame\w*|humiliat\w*|"
    r"exploit\w*|evasive|evad\w*|dodg\w*|refus\w*|lectur\w*|scold\w*|preach\w*|vague|useless|irrelevant|"
    r"careless|inappropriate|unacceptable|"
    r"not (?:okay|ok|right|safe|legal|ethical|fair|true|helpful|appropriate)|"
    r"without (?:consent|permission|asking)"
    r")\b"
)


def names_act(messages: Conversation, response: str, critique_request: str, critique: str) -> bool:
    """Tell whether a critique of the response names the act, judges, and does not just give the response again."""
    act = act_words(messages, response, critique_request)
    named = act & _stems(critique)
    return len(named) >= min(ENOUGH, len(act)) > 0 and judges(critique) and not is_copy(critique, response)


def act_words(messages: Conversation, response: str, critique_request: str) -> frozenset[str]:
    """Return the stems that stand for the act: of the last human turn and the response, none of the request."""
    asked = messages[-1]["content"]
    return _stems(f"{asked} {response}") - _stems(critique_request)


def judges(critique: str) -> bool:
    """Tell whether a text says that something is wrong."""
    return bool(_JUDGES.search(" ".join(words_of(critique))))


def is_copy(critique: str, response: str) -> bool:
    """Tell whether more than half of the critique's words stand in runs of eight that are the response's."""
    words, runs = words_of(critique), _runs(words_of(response))
    copied = [False] * len(words)
    for start in range(len(words) - _RUN + 1):
        if tuple(words[start : start + _RUN]) in runs:
            copied[start : start + _RUN] = [True] * _RUN
    return bool(words) and sum(copied) / len(words) > _COPIED_ABOVE


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)}


def _stems(text: str) -> frozenset[str]:
    """Return the stems of the content words."""
    words = {word.strip("'") for word in words_of(text)} - _FUNCTION_WORDS - _OF_CRITIQUES
    return frozenset(_stem(word) for word in words if len(word) >= _SHORTEST)


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ied", "ies", "ed", "es", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            word = word.removesuffix(ending)
            break
    if len(word) > _SHORTEST and word[-1] == word[-2]:  # stopping, stop
        word = word[:-1]
    return word[:_STEM]
