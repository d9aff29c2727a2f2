"""Tables of answers that may be learnt from: what is wrong with each, and how many there are of each kind."""

import re
from collections.abc import Sequence

import pandas as pd
from rapidfuzz import fuzz

from cai_kedro.core.asks import RuledReply, Worked
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.rules import mentions_rule
from cai_kedro.core.text import before_a_repeat, words_of
from cai_kedro.metrics.estimate import Estimate, proportion

#: Of a question; what follows is of its answer.
ASKED = ["prompt_id", "messages", "source", "question_type", "topic"]
COLUMNS = [*ASKED, "thoughts", "rules", "response", "ended", "fault"]

#: Why an answer is not learnt from, in the order in which it is looked at.
FAULTS = (
    "thoughts_empty",
    "thoughts_cut",  # by the limit of tokens
    "thoughts_unknown_rule",
    "thoughts_no_rule",
    "answer_empty",
    "answer_cut",  # by the limit of tokens, and no sentence of it is whole
    "answer_names_rules",
    "example_leaked",
)

#: With these there are no thoughts whose rules could be told.
NO_THOUGHTS = ("thoughts_empty", "thoughts_cut", "thoughts_unknown_rule", "thoughts_no_rule")

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


def whole_answer(text: str, ended: bool, repeated_words: int) -> str:
    """Return an answer up to the first clause that is said again; of one that was cut, its whole sentences."""
    kept = before_a_repeat(text.strip(), repeated_words)
    if ended or kept != text.strip():
        return kept
    ends = [found.end() for found in _SENTENCE_END.finditer(kept)]
    return kept[: ends[-1]] if ends else ""


def fault_of_answer(
    raw: str, answer: str, thoughts: str | None, examples: Sequence[Worked], max_likeness: float
) -> str | None:
    """Say what is wrong with an answer, one of `FAULTS`; None if nothing is.

    `raw` is what the model wrote and `answer` what `whole_answer` left of it. A worked example has leaked where the
    answer is more alike to its answer than `max_likeness` (0 to 100, of `rapidfuzz.fuzz.ratio`), or where the thoughts
    are its thoughts, word for word.
    """
    if not raw.strip():
        return "answer_empty"
    if not answer:
        return "answer_cut"
    if mentions_rule(answer):
        return "answer_names_rules"
    for example in examples:
        assert isinstance(example.ask, RuledReply)
        same_thoughts = thoughts is not None and words_of(thoughts) == words_of(example.ask.thoughts)
        if same_thoughts or fuzz.ratio(answer.lower(), example.answer.lower()) > max_likeness:
            return "example_leaked"
    return None


def kept(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without a fault."""
    return answers[answers["fault"].isna()].reset_index(drop=True)


def counted(answers: pd.DataFrame, cut: int) -> pd.DataFrame:
    """Count what became of all rows: `outcome, rows, share, low, high, n`; `cut` of those kept end before a repeat."""
    n = len(answers)
    rows = {"kept": int(answers["fault"].isna().sum()), "kept, cut before a repeat": cut}
    rows |= {f"dropped, {fault}": int((answers["fault"] == fault).sum()) for fault in FAULTS}
    shares = {outcome: proportion(number, n) for outcome, number in rows.items()} if n else {}
    return pd.DataFrame(
        [
            {
                "outcome": outcome,
                "rows": rows[outcome],
                "share": of["value"],
                "low": of["low"],
                "high": of["high"],
                "n": n,
            }
            for outcome, of in shares.items()
        ],
        columns=["outcome", "rows", "share", "low", "high", "n"],
    )


def as_metrics(counts: pd.DataFrame, name: str) -> dict[str, Estimate]:
    """Return the counts as metrics for the tracker: `{name}.kept`, `{name}.dropped.{fault}`."""
    return {
        f"{name}.{row.outcome.replace(', ', '.').replace(' ', '_')}": Estimate(
            value=float(row.share), low=float(row.low), high=float(row.high), n=int(row.n)
        )
        for row in counts.itertuples()
    }


def some_left(rows: pd.DataFrame, answers: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the rows; raises `GateClosed` that counts the faults where there is none to learn from."""
    if len(rows):
        return rows
    faults = answers["fault"].value_counts()
    told = ", ".join(f"{number} {fault}" for fault, number in faults.items()) or "there were no questions"
    raise GateClosed(
        f"no answer is left to learn from in the stage {stage} of SELF-ALIGN, of {len(answers)}: {told}. Look at the "
        f"column `thoughts` of self_align_answers: does the model write `rule 1 (name)`? If not, show it worked "
        f"examples (self_align.self_alignment.examples), or take a larger model"
    )
