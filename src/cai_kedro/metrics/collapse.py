"""Whether a policy has collapsed: it says a thing twice, says one thing to everybody, or writes far less or far more.

All of it is read off replies to the same prompts, against those of the start policy; no model and no judge is asked.
A further sign, the variety of word pairs, stands with the limits on drift (`metrics/over_optimisation.py`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cai_kedro.core.text import clauses, words_of
from cai_kedro.metrics.estimate import Estimate, bounded_mean, mean, proportion

#: Replies with the same so many words in front begin alike; a shorter reply has to be the same as a whole.
BEGINNING = 8


@dataclass(frozen=True)
class CollapseLimits:
    """How far shares may rise above the start policy's; lengths are in shares of its mean."""

    max_repeated_rise: float
    max_alike_rise: float
    min_length: float
    max_length: float


@dataclass(frozen=True)
class Collapse:
    """What one policy's replies show: `repeated` and `alike` as shares, `tokens` a reply; n counts replies."""

    repeated: Estimate
    alike: Estimate
    tokens: Estimate

    def columns(self, start: "Collapse") -> dict[str, float]:
        """Return `repeated_sentences`, `alike` and `length`, the last as a share of the start policy's mean."""
        return {
            **{name: share["value"] for name, share in self.shares().items()},
            "length": _share(self.tokens, start.tokens),
        }

    def shares(self) -> dict[str, Estimate]:
        """Return `repeated_sentences` and `alike`."""
        return {"repeated_sentences": self.repeated, "alike": self.alike}


def collapse_of(replies: pd.DataFrame) -> Collapse:
    """Measure one policy's replies (rows of `signals` of one step)."""
    texts = list(replies["response"])
    return Collapse(
        repeated=bounded_mean(repeated_shares(texts), 0, 1),
        alike=proportion(most_alike(texts), len(texts)),
        tokens=mean(replies["tokens"]),
    )


def repeated_shares(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return of each text the share of its sentences and clauses that stand in it before: (texts,) in [0, 1)."""
    parts = [clauses(text) for text in texts]
    return np.array([1 - len(set(of)) / len(of) if of else 0.0 for of in parts])


def most_alike(texts: Sequence[str]) -> int:
    """Return how many texts begin as the most frequent beginning goes."""
    beginnings = Counter(tuple(words_of(text)[:BEGINNING]) for text in texts)
    return max(beginnings.values(), default=0)


def collapse_faults(now: Collapse, start: Collapse, limits: CollapseLimits) -> list[str]:
    """Say in what a policy has collapsed, with figures; nothing for one that has not."""
    faults = []
    for estimate, before, rise, what in (
        (now.repeated, start.repeated, limits.max_repeated_rise, "sentences said twice in a reply"),
        (now.alike, start.alike, limits.max_alike_rise, f"replies with the same first {BEGINNING} words"),
    ):
        if estimate["value"] > before["value"] + rise:
            faults.append(f"{what} {_told(estimate)}, over {rise} above {before['value']:.2f} at the start")
    length = _share(now.tokens, start.tokens)
    if not limits.min_length <= length <= limits.max_length:
        faults.append(
            f"reply length {_told(now.tokens)} tokens, not within {limits.min_length} and {limits.max_length} times "
            f"the {start.tokens['value']:.2f} at the start"
        )
    return faults


def collapse_sentence(arm: str, choice: pd.DataFrame) -> str:
    """Say in one sentence what has collapsed (a table that `choose_snapshot` made); else nothing."""
    gone = choice[choice["collapsed"].astype(bool)]
    if gone.empty:
        return ""
    steps = ", ".join(f"{row.step} ({row.why})" for row in gone.itertuples())
    kept = gone[gone["kept"].astype(bool)]
    end = "one of them is kept all the same, as rlhf.snapshots.keep says" if len(kept) else "they are not kept"
    return f"{arm} has collapsed in {len(gone)} of {len(choice) - 1} snapshots, {end}: step {steps}"


def _share(tokens: Estimate, start: Estimate) -> float:
    return tokens["value"] / start["value"] if start["value"] else 1.0


def _told(estimate: Estimate) -> str:
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.2f}, {estimate['high']:.2f}]"
    return f"{estimate['value']:.2f}{interval} (n = {estimate['n']})"
