"""Claims of the paper, held against what several seeds measured: agrees, differs, or not told apart."""

import math
import re
from collections.abc import Sequence
from typing import Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.metrics.between_runs import MIN_RUNS, NOT_TOLD_APART
from cai_kedro.metrics.over_seeds import OverSeeds, detectable, over_seeds

AGREES, DIFFERS, NOT_MEASURED = "agrees", "differs", "not measured"
FEW_SEEDS = f"fewer than {MIN_RUNS} seeds: no sentence may rest on this"

#: What a study knows of one figure of one seed.
FIGURE_COLUMNS = ("setting", "seed", "metric", "value", "low", "high", "n")
#: What is said of a claim, a row each.
VERDICT_COLUMNS = (
    *(
        "id",
        "headline",
        "claim",
        "paper",
        "setting",
        "quantity",
        "expected",
        "mean",
        "low",
        "high",
        "lowest",
        "highest",
    ),
    *("sd", "half_width", "values", "n", "seeds", "detectable", "first", "second", "chance", "ceiling"),
    *("verdict", "note"),
)
_QUANTITY = re.compile(r"(?P<first>\S+)(?: - (?P<second>\S+))?")


class Claim(BaseModel):
    """A sentence of the paper about one quantity.

    `quantity` is a metric or a difference `a - b` of two. It is that of `setting`, less that of the setting `against`
    where one is named. `expected: same` says that it is `than` at most `matters` away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^\w+$")
    claim: str = Field(min_length=1)
    paper: str = Field(min_length=1, description="section or figure; `ours` for what this project wants of itself")
    quantity: str
    setting: str | None = Field(default=None, description="null: the first setting of the study")
    against: str | None = Field(default=None, description="the setting whose quantity is taken off")
    expected: Literal["above", "below", "same"]
    than: float = 0.0
    matters: float = Field(ge=0, description="the smallest difference that matters, in the unit of the quantity")
    headline: bool = Field(default=False, description="stands on the first screen of the report")
    chance: float | None = Field(default=None, description="what guessing reaches")
    ceiling: float | None = Field(default=None, description="what nothing can be above")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not _QUANTITY.fullmatch(self.quantity):
            raise ValueError(f"the quantity of {self.id} must be a metric or `a - b`, got {self.quantity!r}")
        if self.expected == "same" and not self.matters:
            raise ValueError(f"{self.id} expects the same, so `matters` must be above 0: it says how near that is")
        return self

    @property
    def terms(self) -> tuple[str, str | None]:
        """The metric, and the one that is taken off it."""
        found = _QUANTITY.fullmatch(self.quantity)
        assert found is not None
        return found["first"], found["second"]

    @property
    def told(self) -> str:
        """What is expected, in words."""
        if self.expected == "same":
            return f"at most {self.matters:g} from {self.than:g}"
        return f"{self.expected} {self.than:g}" + (f" by {self.matters:g}" if self.matters else "")


def verdict(over: OverSeeds, claim: Claim, second: float | None = None) -> tuple[str, str]:
    """Return the verdict and a note on it ("" where there is none to make).

    Agrees: the interval lies on the expected side, and does not leave out what matters. Differs: it leaves out all that
    would matter. `second` is the mean of what the quantity is a lead over: where the ceiling leaves less room above it
    than what matters, a small lead says nothing.
    """
    if over.low is None or over.high is None:
        return NOT_TOLD_APART, FEW_SEEDS
    low, high = over.low - claim.than, over.high - claim.than
    if claim.expected == "same":
        if -claim.matters <= low and high <= claim.matters:
            return AGREES, ""
        outside = low > claim.matters or high < -claim.matters
        return (DIFFERS, "") if outside else (NOT_TOLD_APART, "")
    if claim.expected == "below":
        low, high = -high, -low
    if high < claim.matters:
        room = math.inf if claim.ceiling is None or second is None else claim.ceiling - second
        if high >= 0 and room < claim.matters and claim.expected == "above":
            return NOT_TOLD_APART, f"at the ceiling: no more than {room:.3g} is left above {second:.3g}"
        opposite = high < 0
        return DIFFERS, "" if opposite or low <= 0 else "on the expected side, but too little to matter"
    return (AGREES, "") if low > 0 else (NOT_TOLD_APART, "")


def judge_claims(figures: pd.DataFrame, claims: Sequence[Claim], settings: Sequence[str]) -> pd.DataFrame:
    """Hold every claim against the figures of a study (`FIGURE_COLUMNS`); returns `VERDICT_COLUMNS`, a row a claim.

    Values are paired by seed, and only seeds that have all of a quantity count. The half-width of a difference is that
    of independent figures; policies answer the same prompts, so it is wider than need be. `settings` are those of the
    study, the first one first; a claim about another setting or about figures that are not there is not measured.
    """
    missing = [name for name in FIGURE_COLUMNS if name not in figures.columns]
    if missing:
        raise ValueError(f"figures of a study need {', '.join(FIGURE_COLUMNS)}: missing {', '.join(missing)}")
    rows = [_judged(figures, claim, claim.setting or settings[0]) for claim in claims]
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _judged(figures: pd.DataFrame, claim: Claim, setting: str) -> dict[str, object]:
    about = {
        **claim.model_dump(include={"id", "headline", "claim", "paper", "quantity", "chance", "ceiling"}),
        "setting": f"{setting} - {claim.against}" if claim.against else setting,
        "expected": claim.told,
    }
    signed = [(setting, claim.terms[0], 1.0), (setting, claim.terms[1], -1.0)]
    signed += [(claim.against, claim.terms[0], -1.0), (claim.against, claim.terms[1], 1.0)] if claim.against else []
    parts = [(sign, _of_seeds(figures, of, metric)) for of, metric, sign in signed if metric]
    common = [seed for seed in parts[0][1].index if all(seed in part.index for _, part in parts)]
    if not common:
        return {**about, "seeds": 0, "verdict": NOT_MEASURED, "note": "this study has no such figures"}
    chosen = [(sign, part.loc[common]) for sign, part in parts]
    values = sum(sign * part["value"] for sign, part in chosen)
    halves = sum(part["half_width"] ** 2 for _, part in chosen) ** 0.5
    over = over_seeds(list(values), list(halves))
    first, second = (float(chosen[place][1]["value"].mean()) if len(chosen) > place else None for place in (0, 1))
    said, note = verdict(over, claim, None if claim.against and claim.terms[1] else second)
    found = None if over.error is None or over.freedom is None else detectable(over.error, over.freedom)
    return {
        **about,
        **{name: getattr(over, name) for name in ("mean", "low", "high", "lowest", "highest", "sd", "half_width")},
        "values": "; ".join(f"{seed}: {value:.4g}" for seed, value in values.items()),
        "n": min(int(part["n"].min()) for _, part in chosen),
        "seeds": over.seeds,
        "detectable": found,
        "first": first,
        "second": second,
        "verdict": said,
        "note": note,
    }


def _of_seeds(figures: pd.DataFrame, setting: str | None, metric: str) -> pd.DataFrame:
    """Return `value, half_width, n` by seed; a figure without an interval has the half-width 0."""
    rows = figures[(figures["setting"] == setting) & (figures["metric"] == metric)].set_index("seed")
    return rows.assign(half_width=((rows["high"] - rows["low"]) / 2).fillna(0.0))[["value", "half_width", "n"]]
