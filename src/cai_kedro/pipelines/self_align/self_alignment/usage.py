"""Which rules the thoughts name, by what is asked for."""

import logging

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge, verdicts
from cai_kedro.core.rules import RuleSet
from cai_kedro.metrics.estimate import proportion
from cai_kedro.pipelines.self_align.answers import NO_THOUGHTS
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams

logger = logging.getLogger(__name__)

#: Stands for the type of questions that were made up for none, and for the harm of those that ask for none.
NO_TYPE, NO_HARM = "without a type", "no harm"

_SHARES = ["rule", "share", "low", "high", "n"]
COLUMNS = ["question_type", *_SHARES]
HARM_COLUMNS = ["harm", *_SHARES]


def measure_rule_usage(answers: pd.DataFrame, rules: RuleSet, params: SelfAlignmentParams) -> pd.DataFrame:
    """Count how often thoughts name each rule of the prompt, by type of question (`answers` → `COLUMNS`).

    `share` is that of the well-formed thoughts about questions of the type, `n` of them, with its 95 % interval. What
    was thought counts, whether the answer behind it is kept or not.
    """
    read = _well_formed(answers)
    return _shares(read.assign(question_type=read["question_type"].fillna(NO_TYPE)), "question_type", rules, params)


def measure_rule_usage_by_harm(
    answers: pd.DataFrame, rules: RuleSet, judge: Judge, params: SelfAlignmentParams
) -> pd.DataFrame:
    """Count the same by the harm that the judge says a question asks for (`answers` → `HARM_COLUMNS`).

    Questions without an answer are not judged, and not counted. A judge that names no harm of any question leaves
    nothing to count, and that is said.
    """
    read = _well_formed(answers)
    read = read[read["response"].notna()]
    asked = [
        (as_messages(messages), str(text)) for messages, text in zip(read["messages"], read["response"], strict=True)
    ]
    harms = [verdict.category for verdict in verdicts(asked, judge)]
    if not any(harms):
        logger.warning("this judge names no harm of any question: which rules are named for which harm is not measured")
        return pd.DataFrame(columns=HARM_COLUMNS)
    by_name = read.assign(harm=[harm or NO_HARM for harm in harms]).sort_values("harm", kind="stable")
    return _shares(by_name, "harm", rules, params)


def _well_formed(answers: pd.DataFrame) -> pd.DataFrame:
    return answers[~answers["fault"].isin(NO_THOUGHTS)]


def _shares(read: pd.DataFrame, by: str, rules: RuleSet, params: SelfAlignmentParams) -> pd.DataFrame:
    rows = []
    for (kind,), part in read.groupby([by], sort=False):
        named = [set(cell) for cell in part["rules"]]
        for rule in rules.asked(params.rules):
            share = proportion(sum(rule.name in each for each in named), len(named))
            rows.append([kind, rule.name, share["value"], share["low"], share["high"], share["n"]])
    return pd.DataFrame(rows, columns=[by, *_SHARES])
