"""Which answers are learnt from: well-formed ones, cut before they repeat themselves, that copy no worked example."""

import logging

import pandas as pd

from cai_kedro.core.rules import RuleSet
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.self_align.answers import as_metrics, counted, fault_of_answer, whole_answer
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams

logger = logging.getLogger(__name__)


def check_answers(
    answers: pd.DataFrame, rules: RuleSet, params: SelfAlignmentParams
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Estimate]]:
    """Cut answers before a repeat and say what is wrong with each (`answers` → `answers`, counts, metrics; stage 2).

    All rows stay in the table; those with a `fault` are not learnt from. The counts are `outcome, rows, share, low,
    high, n`, the metrics the same as `self_align.kept` and `self_align.dropped.{fault}`.
    """
    examples = rules.worked(params.examples, rules.asked(params.rules))
    texts, faults, cut = [], [], 0
    for row in answers.itertuples():
        raw = "" if pd.isna(row.response) else str(row.response)
        answer = whole_answer(raw, bool(row.ended), params.repeated_words)
        thoughts = None if pd.isna(row.thoughts) else str(row.thoughts)
        own = None if pd.isna(row.fault) else str(row.fault)
        fault = own or fault_of_answer(raw, answer, thoughts, examples, params.max_likeness)
        texts.append(answer or raw or None)
        faults.append(fault)
        cut += fault is None and answer != raw.strip()
    checked = answers.assign(
        response=pd.Series(texts, index=answers.index, dtype=object),
        fault=pd.Series(faults, index=answers.index, dtype=object),
    )
    counts = counted(checked, cut)
    logger.info(
        "%d of %d answers under rules are kept, %d of them cut", int(checked["fault"].isna().sum()), len(checked), cut
    )
    return checked, counts, as_metrics(counts, "self_align")
