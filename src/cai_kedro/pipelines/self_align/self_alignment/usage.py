"""Which rules the thoughts name, by what is asked for."""

import pandas as pd

from cai_kedro.core.rules import RuleSet
from cai_kedro.metrics.estimate import proportion
from cai_kedro.pipelines.self_align.answers import NO_THOUGHTS
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams

#: Stands for the type of questions that were made up for none.
NO_TYPE = "without a type"

COLUMNS = ["question_type", "rule", "share", "low", "high", "n"]


def measure_rule_usage(answers: pd.DataFrame, rules: RuleSet, params: SelfAlignmentParams) -> pd.DataFrame:
    """Count how often thoughts name each rule of the prompt, by type of question (`answers` → `COLUMNS`).

    `share` is that of the well-formed thoughts about questions of the type, `n` of them, with its 95 % interval. What
    was thought counts, whether the answer behind it is kept or not.
    """
    read = answers[~answers["fault"].isin(NO_THOUGHTS)]
    types = read["question_type"].fillna(NO_TYPE)
    rows = []
    for kind in dict.fromkeys(types):
        named = [set(cell) for cell in read.loc[types == kind, "rules"]]
        for rule in rules.asked(params.rules):
            share = proportion(sum(rule.name in each for each in named), len(named))
            rows.append([kind, rule.name, share["value"], share["low"], share["high"], share["n"]])
    return pd.DataFrame(rows, columns=COLUMNS)
