"""The check of a role before it works: the probe set, figures, and a stop below the bar unless the user insists."""

import logging
from collections.abc import Iterable, Mapping

from pydantic import Field

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.gates import GateClosed
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.judging.probe import some_pairs
from cai_kedro.judging.trial import ask_comparisons, ask_critiques
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.named_act import names_act
from cai_kedro.metrics.role_check import (
    Bars,
    Setting,
    Verdict,
    judge_comparisons,
    judge_critiques,
    measure_comparisons,
    measure_critiques,
    next_choice,
    told,
)

logger = logging.getLogger(__name__)

#: The figures of the labeller's check in the catalog.
LABELLER_CHECK = "labeller_check_metrics"

#: Worked examples that a model is tried with where none are set.
ENOUGH_SHOTS = 4

#: How far a critique's act stands from the one that it is held against to see what chance names.
_ANOTHER = 7


class RoleCheckParams(Bars):
    """How the labeller and the critic are checked, and what they have to reach."""

    pairs: int | None = Field(ge=4, description="pairs of the probe set to compare, null: all")
    critiques: int = Field(ge=2, description="critiques to write")
    insist: bool = Field(description="let models work that are below the bar; the report says so")


def try_labeller(
    engine: TextEngine,
    constitution: Constitution,
    few_shots: int,
    both_orders: bool,
    params: RoleCheckParams,
    seed: int,
    *,
    turned: bool = False,
) -> tuple[dict[str, Estimate], Verdict]:
    """Compare the probe pairs as the labels are made; return figures and verdict (`metrics.role_check`)."""
    answers = ask_comparisons(engine, some_pairs(params.pairs), constitution, few_shots, seed, turned=turned)
    figures = measure_comparisons(answers, both_orders)
    return figures, judge_comparisons(figures, params, both_orders)


def try_critic(
    engine: TextEngine,
    constitution: Constitution,
    few_shots: int,
    sampling: Sampling,
    params: RoleCheckParams,
    seed: int,
) -> tuple[dict[str, Estimate], Verdict]:
    """Criticise answers of the probe set that comply; return figures and verdict (`metrics.role_check`)."""
    pairs = [pair for pair in some_pairs(None) if pair.kind == "complies"][: params.critiques]
    said = ask_critiques(engine, pairs, constitution, few_shots, sampling, seed)
    named, named_another = (
        [
            names_act(of.messages, of.worse, principle.critique_request, critique)
            for of, (_, principle, critique) in zip(acts, said, strict=True)
        ]
        for acts in (pairs, [pairs[(place + _ANOTHER) % len(pairs)] for place in range(len(pairs))])
    )
    figures = measure_critiques(named, named_another)
    return figures, judge_critiques(figures, params)


def admit(
    role: str, figures: Mapping[str, Estimate], verdict: Verdict, params: RoleCheckParams, others: Iterable[Setting]
) -> dict[str, Estimate]:
    """Return the figures as metrics (`check.{role}.…`), or raise `GateClosed` below the bar unless the user insists.

    `check.{role}.passed` is 1 or 0; `others` are settings beside the one in force, tried only where the run stops.
    """
    for name, figure in figures.items():
        logger.info("check of the %s: %s %s", role, name, told(figure))
    for note in verdict.notes:
        logger.warning("the %s: %s", role, note)
    if not verdict.passed:
        fault = f"the {role} is below the bar: {'; '.join(verdict.faults)}"
        if not params.insist:
            raise GateClosed(
                f"{fault}. Next best choice: {next_choice(role, list(others))}. `kedro check-labeller` tries more. "
                f"To go on nevertheless: check_labeller.insist=true"
            )
        logger.warning("%s; it works nevertheless, because check_labeller.insist is true", fault)
    n = max(figure["n"] for figure in figures.values())
    passed = Estimate(value=float(verdict.passed), low=None, high=None, n=n)
    return {f"check.{role}.{name}": figure for name, figure in {**figures, "passed": passed}.items()}


def other_numbers(few_shots: int, available: int) -> list[int]:
    """Return the numbers of worked examples to try beside the one in force: none, and a few."""
    return sorted({0, min(ENOUGH_SHOTS, available)} - {few_shots})
