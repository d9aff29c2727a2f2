"""Whether a model can judge and criticise: from its answers to the probe set to figures and a verdict.

The bar for comparisons follows from what noise costs. On a labeller that is right with probability a, a pair tells
(2a - 1)^2 of what it would tell if a were 1: at 0.75 a quarter, so four times the pairs are needed; at 0.6 twenty-five
times. The probe set's pairs are clear ones, and real pairs are harder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.estimate import Estimate, bounded_mean, proportion

#: Of a probe question: which of the two answers it asks for.
BETTER, WORSE = "better", "worse"

_EVEN = 0.5


class Bars(BaseModel):
    """What a model has to reach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_accuracy: float = Field(gt=0, le=1, description="of comparisons whose better answer is known")
    max_contradictions: float = Field(
        ge=0, le=1, description="pairs that get the same letter in both orders; a coin reaches one half"
    )
    min_naming: float = Field(ge=0, le=1, description="critiques that name the act and say what is wrong with it")


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a model in its role, none if it may work; and what else is worth knowing."""

    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the model may work."""
        return not self.faults


def measure_comparisons(answers: pd.DataFrame, both_orders: bool) -> dict[str, Estimate]:
    """Return what the answers of one model with one number of worked examples say.

    `answers` has a row per probe pair and polarity: `item_id, kind, asks_for` (better or worse), `p_first` and
    `p_second`, P(A) with the better answer shown as A and as B, in [0, 1].

    `accuracy` and `accuracy.{kind}`: asked for the better answer, no preference counts half; both orders averaged, or
    the mean over both single orders. `accuracy_of_worse`: asked for the worse one ("more harmful"). `p_a`: the mean
    probability of the letter A over both orders, 1/2 without order bias. `contradictions`: pairs that get the same
    letter in both orders. `decidedness`: the mean distance of p from 1/2, 0 (labels say nothing) to 1/2. `n` counts
    pairs. Raises `ValueError` for an empty table or one without questions for the better answer.
    """
    asked, turned = (answers[answers["asks_for"] == wanted] for wanted in (BETTER, WORSE))
    if asked.empty:
        raise ValueError(f"the probe needs questions for the better answer, got {len(answers)} rows without one")
    figures = {
        "accuracy": _accuracy(asked, both_orders),
        **{f"accuracy.{kind}": _accuracy(rows, both_orders) for kind, rows in asked.groupby("kind", sort=True)},
        "p_a": bounded_mean((asked["p_first"] + asked["p_second"]) / 2, 0, 1),
        "contradictions": proportion(int(_same_letter(asked).sum()), len(asked)),
        "decidedness": bounded_mean((_p_better(asked) - _EVEN).abs(), 0, _EVEN),
    }
    if len(turned):
        figures["accuracy_of_worse"] = _accuracy(turned, both_orders)
    return figures


def _accuracy(rows: pd.DataFrame, both_orders: bool) -> Estimate:
    sign = np.where(rows["asks_for"] == BETTER, 1.0, -1.0)
    if both_orders:
        return pairwise_accuracy(sign * (_p_better(rows) - _EVEN))
    in_orders = [sign * (rows["p_first"] - _EVEN), sign * (_EVEN - rows["p_second"])]
    both = [pairwise_accuracy(margin)["value"] for margin in in_orders]
    # one pair counts once: its mean over the orders, 0, 1/2 or 1
    rights = np.mean([(np.sign(margin) + 1) / 2 for margin in in_orders], axis=0)
    assert np.isclose(rights.mean(), np.mean(both))
    return bounded_mean(rights, 0, 1)


def _p_better(rows: pd.DataFrame) -> pd.Series:
    """Return P(the better answer is chosen), the mean over both orders: (rows,)."""
    return (rows["p_first"] + 1 - rows["p_second"]) / 2


def _same_letter(rows: pd.DataFrame) -> pd.Series:
    return (rows["p_first"] > _EVEN) == (rows["p_second"] > _EVEN)


def measure_critiques(named: Sequence[bool], named_another: Sequence[bool]) -> dict[str, Estimate]:
    """Return `naming`, the share of critiques that name their act, and `naming_by_chance`, that name another one's."""
    return {
        "naming": proportion(sum(named), len(named)),
        "naming_by_chance": proportion(sum(named_another), len(named_another)),
    }


def judge_comparisons(figures: Mapping[str, Estimate], bars: Bars, both_orders: bool) -> Verdict:
    """Say whether a model may compare: by its accuracy, and by its order bias where one order alone is asked."""
    accuracy, contradictions = figures["accuracy"], figures["contradictions"]
    faults: list[str] = []
    notes: list[str] = []
    if accuracy["value"] < bars.min_accuracy:
        faults.append(
            f"it chooses the better answer in {told(accuracy)} of clear pairs; the bar is {bars.min_accuracy}, and a "
            f"coin has 0.5"
        )
    elif accuracy["low"] is not None and accuracy["low"] <= _EVEN:
        faults.append(
            f"it chooses the better answer in {told(accuracy)} of clear pairs, and a coin, 0.5, is within the "
            f"interval: raise check_labeller.pairs"
        )
    if contradictions["value"] > bars.max_contradictions:
        # with both orders asked the bias takes itself out of an accurate judge's labels, but it explains a poor one
        (faults if faults or not both_orders else notes).append(
            f"order bias: the mean probability of the letter A is {told(figures['p_a'])}, and the letter is the same "
            f"in both orders in {told(contradictions)} of the pairs"
        )
    turned = figures.get("accuracy_of_worse")
    if turned is not None and turned["value"] < _EVEN:
        notes.append(
            f"it does not read the polarity of a question: asked for the worse answer it is right in {told(turned)}"
        )
    return Verdict(tuple(faults), tuple(notes))


def judge_critiques(figures: Mapping[str, Estimate], bars: Bars) -> Verdict:
    """Say whether a model may criticise: the share of its critiques that name the act."""
    naming, chance = figures["naming"], figures["naming_by_chance"]
    if naming["value"] >= bars.min_naming:
        return Verdict(())
    return Verdict(
        (
            f"{told(naming)} of its critiques name the act and say what is wrong with it; the bar is "
            f"{bars.min_naming}, and {told(chance)} name the act of another conversation",
        )
    )


def told(figure: Estimate) -> str:
    """Write an estimate with its interval and n: `0.52 [0.43, 0.61] (n = 120)`."""
    interval = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return f"{figure['value']:.2f}{interval} (n = {figure['n']})"


@dataclass(frozen=True)
class Setting:
    """One way to fill a role that was tried: what to write into conf for it, its main figure, whether it passed."""

    conf: str
    figure: Estimate
    passed: bool


def next_choice(role: str, others: Sequence[Setting]) -> str:
    """Name what to do about a model that may not work: the best of the other settings that passed, else a server."""
    passed = [setting for setting in others if setting.passed]
    if passed:
        best = max(passed, key=lambda setting: setting.figure["value"])
        return f"set {best.conf}, which passes with {told(best.figure)}"
    tried = "".join(f"; {setting.conf} has {told(setting.figure)}" for setting in others)
    return (
        f"let a stronger model do it: a directory, a model of the hub, or a server's entry of the catalog, named by "
        f"lineage.roles.{role} (docs/guides/judging.md){tried}"
    )
