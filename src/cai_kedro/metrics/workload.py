"""What a run costs: from the sizes of its tables and the cost of one row of each stage to calls, tokens, hours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cai_kedro.metrics.estimate import Estimate

#: Numbers of the paper: red-team prompts that people and the model wrote (§3.2), people's comparisons of helpfulness.
#: AI compares once at each red-team prompt (§4.2); people's comparisons of harmlessness are taken to be one at each of
#: theirs.
PAPER_RED_TEAM_GIVEN, PAPER_RED_TEAM_GENERATED = 42_496, 140_335
PAPER_RED_TEAM = PAPER_RED_TEAM_GIVEN + PAPER_RED_TEAM_GENERATED
PAPER_HELPFUL_COMPARISONS = 135_296
PAPER_ROUNDS = 4

#: The paper's comparisons by their names in the lineage; the others it has not.
PAPER_COMPARISONS = {
    "human_helpfulness": PAPER_HELPFUL_COMPARISONS,
    "human_harmlessness": PAPER_RED_TEAM_GIVEN,
    "ai": PAPER_RED_TEAM,
    "ai_cot": PAPER_RED_TEAM,
}
MILLION = 1e6
SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Sizes:
    """How many rows the stages make.

    Pairs and comparisons are counted before identical answers are dropped, `comparisons` (what preference models read),
    `direct_comparisons` (what policies read themselves) and `episodes` over all arms, epochs included. The labeller
    reads `judged_replies` of the episodes, each against one of `references`, where it is the reward; and
    `fine_tuning_rows` with epochs, too. `checkpoints` are the models that a run trains and
    keeps: SL-CAI, and of each arm a policy and, if it learns against one, a preference model.
    """

    red_team_lists: int
    initial_responses: int
    helpful_responses: int
    rounds: int
    human_helpful_pairs: int
    human_red_team_pairs: int
    harmlessness_pairs: int
    cot_pairs: int
    sl_helpful_pairs: int
    eval_answers: int
    fine_tuning_rows: int
    comparisons: int
    episodes: int
    references: int
    judged_replies: int
    direct_comparisons: int
    checkpoints: int
    snapshots: int

    def units(self) -> dict[str, int]:
        """Return stage → how many rows it makes, in the order of a run."""
        revised = self.initial_responses * self.rounds
        return {
            "human_helpful_pairs": self.human_helpful_pairs,
            "human_red_team_pairs": self.human_red_team_pairs,
            "red_team_lists": self.red_team_lists,
            "initial_responses": self.initial_responses,
            "helpful_responses": self.helpful_responses,
            "revisions": revised,
            "direct_revisions": revised,
            "fine_tuning": self.fine_tuning_rows,
            "harmlessness_pairs": self.harmlessness_pairs,
            "sl_helpful_pairs": self.sl_helpful_pairs,
            "labels": self.harmlessness_pairs,
            "cot_labels": self.cot_pairs,
            "preference_models": self.comparisons,
            "references": self.references,
            "judged_replies": self.judged_replies,
            "rl": self.episodes,
            "direct_preference": self.direct_comparisons,
            "eval_responses": self.eval_answers,
        }


def paper_sizes(
    configured: Sizes,
    arms: Mapping[str, Sequence[str]],
    direct: Mapping[str, Sequence[str]],
    *,
    lists_per_prompt: float,
    epochs: tuple[int, int, int],
) -> Sizes:
    """Return the sizes of the paper; what it does not give (RL, evaluation) stays as configured.

    `arms`: each arm and the comparisons that its preference model learns from; `direct`: the
    same of arms without one; `lists_per_prompt`: lists to continue for each generated
    prompt that is kept; `epochs`: of fine-tuning, of a preference model and of a
    policy on comparisons. People's comparisons of helpfulness stand
    for the helpful prompts, with two answers each (§3.2).
    """
    helpful_responses = 2 * PAPER_HELPFUL_COMPARISONS
    scored, alone = ([source for sources in each.values() for source in sources] for each in (arms, direct))
    learned = [*scored, *alone]
    on_red_team = {"human_red_team_helpfulness", "human_harmlessness"} & {*learned}
    return replace(
        configured,
        red_team_lists=math.ceil(PAPER_RED_TEAM_GENERATED * lists_per_prompt),
        initial_responses=PAPER_RED_TEAM,
        helpful_responses=helpful_responses,
        rounds=PAPER_ROUNDS,
        human_helpful_pairs=PAPER_HELPFUL_COMPARISONS if "human_helpfulness" in learned else 0,
        human_red_team_pairs=PAPER_RED_TEAM_GIVEN if on_red_team else 0,
        harmlessness_pairs=PAPER_RED_TEAM,
        cot_pairs=PAPER_RED_TEAM,
        sl_helpful_pairs=0,
        fine_tuning_rows=epochs[0] * (PAPER_RED_TEAM * PAPER_ROUNDS + helpful_responses),
        comparisons=epochs[1] * sum(PAPER_COMPARISONS.get(source, 0) for source in scored),
        direct_comparisons=epochs[2] * sum(PAPER_COMPARISONS.get(source, 0) for source in alone),
    )


@dataclass(frozen=True)
class Cost:
    """What one row of a stage costs. `shared` counts the tokens of a prompt that all prompts of its call begin with."""

    calls: float
    prompt_tokens: float
    shared_tokens: float
    written_tokens: float
    seconds: Estimate
    stored_bytes: float


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens: prompt tokens, those among them that a server has in its cache, written ones."""

    prompt: float
    cached: float
    written: float


@dataclass(frozen=True)
class Load:
    """What a stage, or all of them, will cost."""

    rows: int
    calls: int
    prompt_tokens: int
    shared_tokens: int
    written_tokens: int
    hours: Estimate
    stored_bytes: int

    def price(self, prices: Prices) -> float:
        """Return the money for the tokens; `shared` tokens at the price of cached ones."""
        own = self.prompt_tokens - self.shared_tokens
        money = own * prices.prompt + self.shared_tokens * prices.cached + self.written_tokens * prices.written
        return money / MILLION


@dataclass(frozen=True)
class Effort:
    """What a method asks for: lines that people write, comparisons that people make, and what models are asked."""

    method: str
    lines: int
    labels: int
    calls: int
    prompt_tokens: int
    written_tokens: int


def load_of(cost: Cost, rows: int) -> Load:
    """Return the load of so many rows; the interval is that of the mean seconds of a row."""
    scaled = {end: _scaled(cost.seconds, end, rows) for end in ("value", "low", "high")}
    low, high = scaled["low"], scaled["high"]
    return Load(
        rows=rows,
        calls=round(rows * cost.calls),
        prompt_tokens=round(rows * cost.prompt_tokens),
        shared_tokens=round(rows * cost.shared_tokens),
        written_tokens=round(rows * cost.written_tokens),
        hours=Estimate(
            value=scaled["value"] or 0.0, low=None if low is None else max(0.0, low), high=high, n=cost.seconds["n"]
        ),
        stored_bytes=round(rows * cost.stored_bytes),
    )


def _scaled(seconds: Estimate, end: str, rows: int) -> float | None:
    value = {"value": seconds["value"], "low": seconds["low"], "high": seconds["high"]}[end]
    return None if value is None else value * rows / SECONDS_AN_HOUR


def total_of(loads: Mapping[str, Load]) -> Load:
    """Add stages up.

    They were timed apart from each other, so the half widths of their intervals add up in quadrature. Without an
    interval if one stage has none.
    """
    hours = sum(load.hours["value"] for load in loads.values())
    halves = [_half_width(load.hours) for load in loads.values()]
    known = [half for half in halves if half is not None]
    half = math.sqrt(sum(half**2 for half in known)) if len(known) == len(halves) else None
    return Load(
        rows=sum(load.rows for load in loads.values()),
        calls=sum(load.calls for load in loads.values()),
        prompt_tokens=sum(load.prompt_tokens for load in loads.values()),
        shared_tokens=sum(load.shared_tokens for load in loads.values()),
        written_tokens=sum(load.written_tokens for load in loads.values()),
        hours=Estimate(
            value=hours,
            low=None if half is None else max(0.0, hours - half),
            high=None if half is None else hours + half,
            n=min((load.hours["n"] for load in loads.values()), default=0),
        ),
        stored_bytes=sum(load.stored_bytes for load in loads.values()),
    )


def _half_width(hours: Estimate) -> float | None:
    return None if hours["high"] is None else hours["high"] - hours["value"]


def model_bytes(parameters: int, checkpoints: int, snapshots: int) -> int:
    """Return the bytes of all checkpoints and snapshots of a run, in 32 bits; the pretrained model is only named."""
    return 4 * parameters * (checkpoints + snapshots)
