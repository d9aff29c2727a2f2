"""The labeller's judgement as a reward: how far it prefers a reply to a reference reply; no preference model learns it.

"Direct RLAIF" of Lee et al. 2023 (arXiv 2309.00267) has a model rate a reply by itself; here it compares, as it does
for labels (§4.1 of the paper), so that one question and one way of reading the answer serve both.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cai_kedro.engines.base import TextEngine
from cai_kedro.judging.comparer import Case, compare

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabellerReward:
    """Rewards replies to prompts by the labeller's log-odds that they are better than the prompt's reference.

    `cases` is `prompt_id` → the comparison, with the reference as its second answer; the first one is put in.
    """

    engine: TextEngine
    cases: Mapping[str, Case]
    max_log_odds: float

    @property
    def fingerprint(self) -> str:
        """A digest of all that a reward depends on."""
        told = [self.engine.fingerprint, self.max_log_odds, sorted(self.cases.items(), key=lambda item: item[0])]
        return hashlib.sha256(repr(told).encode("utf-8", errors="surrogatepass")).hexdigest()

    def score(self, prompt_ids: Sequence[str], replies: Sequence[str]) -> NDArray[np.float64]:
        """Return the clamped log-odds of each reply, both option orders averaged as probabilities: (replies,).

        The reference itself gets 0, and so does a reply that is too long to be compared, which a warning counts. An
        empty reply gets the lowest reward without being asked about. Raises `ValueError` where every reply is too long.
        """
        pairs = list(zip(prompt_ids, replies, strict=True))
        rewards = {(prompt_id, reply): 0.0 if reply.strip() else -self.max_log_odds for prompt_id, reply in pairs}
        asked = [pair for pair in rewards if pair[1].strip() and pair[1] != self.cases[pair[0]].b]
        cases = [replace(self.cases[prompt_id], a=reply) for prompt_id, reply in asked]
        p = compare(self.engine, cases, both_orders=True).a_better if cases else np.zeros(0)
        rewards |= zip(asked, self._log_odds(p), strict=True)
        return np.array([rewards[pair] for pair in pairs])

    def _log_odds(self, p: NDArray[np.float64]) -> list[float]:
        too_long = np.isnan(p)
        if len(p) and too_long.all():
            raise ValueError(
                f"none of {len(p)} replies can be compared with its reference: the comparison does not fit into the "
                f"labeller's context; lower rlhf.judge.few_shots, or take a labeller with a longer one"
            )
        if too_long.any():
            logger.warning(
                "%d of %d replies are too long to be compared with their reference: reward 0", too_long.sum(), len(p)
            )
        with np.errstate(divide="ignore"):  # a certain labeller, whose infinite odds are clamped
            odds = np.log(p) - np.log1p(-p)
        clamped = np.clip(odds, -self.max_log_odds, self.max_log_odds)
        return [float(value) for value in np.where(too_long, 0.0, clamped)]
