"""Which of two options an engine prefers, from the log-probabilities of their letters, never from generated text."""

from collections.abc import Sequence

import numpy as np

from cai_kedro.core.asks import Comparison, Verdict
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.fitting import logprobs_fitting


def p_first(engine: TextEngine, asks: Sequence[Comparison] | Sequence[Verdict]) -> np.ndarray:
    """Return P(first option) = P(A) / (P(A) + P(B)) of each ask (§4.1), NaN for one too long: (asks,)."""
    logprobs = logprobs_fitting(engine, asks)
    return 1 / (1 + np.exp(logprobs[:, 1] - logprobs[:, 0]))
