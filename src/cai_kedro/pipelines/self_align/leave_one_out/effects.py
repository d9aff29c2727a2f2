"""What the judge says of answers with and without a rule, question by question."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import RATING_SCALE, Judge, Judgement, rates, verdicts
from cai_kedro.core.rules import RuleSet
from cai_kedro.metrics.estimate import Estimate, bounded_mean, proportion
from cai_kedro.pipelines.self_align.leave_one_out.answering import LeaveOneOutParams, looked_at, variants
from cai_kedro.pipelines.self_align.self_alignment.checking import check_answers
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams

logger = logging.getLogger(__name__)

COLUMNS = ["left_out", "metric", "value", "low", "high", "n"]

#: The end of the names of paired differences, without the rule less with it.
DIFFERENCE = "_difference"
_SPAN = RATING_SCALE[1] - RATING_SCALE[0]


def measure_left_out(
    answers: pd.DataFrame,
    without: pd.DataFrame,
    rules: RuleSet,
    judge: Judge,
    params: SelfAlignmentParams,
    left_out: LeaveOneOutParams,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Compare answers with and without each rule (`answers`, `left_out_answers` → `COLUMNS`, metrics).

    Of each rule: `named`, the share of the questions whose thoughts named it, which were answered again; of these
    `kept`, the share whose new answer may be learnt from, and `kept_in_run`, that of the old ones. Where both may be,
    `changed` is the share of other answers, `{axis}_rating_difference` the mean of the new rating less the old one (-4
    to 4) on each axis that the judge rates, `{behaviour}_share_difference` the same of the share of each behaviour that
    it names (-1 to 1). All have 95 % intervals. A rule that no thoughts named has `named` alone.
    """
    asked = looked_at(answers, left_out, seed)
    found: dict[str, dict[str, Estimate]] = {}
    for variant in variants(rules, params):
        name = variant.left_out
        named = asked[[name in of for of in asked["rules"]]]
        found[name] = {"named": proportion(len(named), len(asked))}
        made = without[without["left_out"] == name].drop(columns="left_out")
        if made.empty:
            continue
        checked, _, _ = check_answers(made, variant.rules, variant.params)
        found[name] |= _effects(named, checked, judge)
    rows = [[name, metric, *estimate.values()] for name, of in found.items() for metric, estimate in of.items()]
    metrics = {f"left_out.{name}.{metric}": estimate for name, of in found.items() for metric, estimate in of.items()}
    _tell(found)
    return pd.DataFrame(rows, columns=COLUMNS), metrics


def _effects(before: pd.DataFrame, after: pd.DataFrame, judge: Judge) -> dict[str, Estimate]:
    both = before.merge(after, on="prompt_id", suffixes=("_before", "_after"), validate="one_to_one")
    kept = both["fault_after"].isna()
    found = {
        "kept": proportion(int(kept.sum()), len(both)),
        "kept_in_run": proportion(int(both["fault_before"].isna().sum()), len(both)),
    }
    pairs = both[kept & both["fault_before"].isna()]
    if pairs.empty:
        return found
    conversations = [as_messages(cell) for cell in pairs["messages_before"]]
    old, new = (
        verdicts(list(zip(conversations, pairs[f"response_{when}"], strict=True)), judge)
        for when in ("before", "after")
    )
    found["changed"] = proportion(int((pairs["response_before"] != pairs["response_after"]).sum()), len(pairs))
    return found | (_ratings(old, new) if rates(judge) else {}) | _behaviours(old, new)


def _ratings(old: Sequence[Judgement], new: Sequence[Judgement]) -> dict[str, Estimate]:
    found = {}
    for axis in dict.fromkeys(axis for one in (*old, *new) for axis in one.ratings):
        ahead = np.array([after.rating(axis) - before.rating(axis) for before, after in zip(old, new, strict=True)])
        rated = ahead[~np.isnan(ahead)]
        if rated.size:
            found[f"{axis}_rating{DIFFERENCE}"] = bounded_mean(rated, -_SPAN, _SPAN)
    return found


def _behaviours(old: Sequence[Judgement], new: Sequence[Judgement]) -> dict[str, Estimate]:
    named = [(a.behaviour, b.behaviour) for a, b in zip(old, new, strict=True) if a.behaviour and b.behaviour]
    return {
        f"{behaviour}_share{DIFFERENCE}": bounded_mean(
            [float(after == behaviour) - float(before == behaviour) for before, after in named], -1, 1
        )
        for behaviour in sorted({str(one) for pair in named for one in pair})
    }


def _tell(found: Mapping[str, Mapping[str, Estimate]]) -> None:
    idle = [name for name, of in found.items() if len(of) == 1]
    n = next(iter(found.values()))["named"]["n"]
    logger.info("%d rules left out one at a time, on %d questions", len(found), n)
    if idle:
        logger.warning("no thoughts name %s: nothing was made again without them", ", ".join(idle))
