"""Estimates from several answers to each prompt: prompts are resampled, because answers to one prompt are alike."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cai_kedro.metrics.estimate import Estimate, percentile_interval, resampled_sums


def mean_over_prompts(values: ArrayLike, prompt_ids: Sequence[str], n_bootstrap: int, seed: int) -> Estimate:
    """Return the mean of all values (n,) with its bootstrap interval over prompts; `n` counts the prompts."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or len(prompt_ids) != array.size or not np.isfinite(array).all():
        raise ValueError(
            f"a mean over prompts needs one prompt per finite value, got values of shape {array.shape} and "
            f"{len(prompt_ids)} prompts"
        )
    prompts, _ = pd.factorize(np.asarray(prompt_ids, dtype=object), sort=True)
    per_prompt = np.stack([np.bincount(prompts, weights=array), np.bincount(prompts).astype(float)], axis=1)
    draws = resampled_sums(per_prompt, n_bootstrap, seed)
    low, high = percentile_interval(draws[:, 0] / draws[:, 1])
    value = float(array.mean())
    # where all values agree, rounding must not carry the interval past them
    return Estimate(value=value, low=min(value, low), high=max(value, high), n=len(per_prompt))


def separation(
    first: tuple[ArrayLike, Sequence[str]],
    second: tuple[ArrayLike, Sequence[str]],
    n_bootstrap: int,
    seed: int,
    strata: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
) -> Estimate:
    """Return the probability that a score of the first policy is above one of the second (AUC), ties half.

    Each policy comes as scores (n,) and their prompts, the same ones; `strata` compare only answers of equal stratum,
    such as length. The interval is from resampling the prompts for both policies at once. Raises `ValueError` where
    no two answers can be compared.
    """
    names = sorted({*first[1], *second[1]})
    a, b = (np.asarray(scores, dtype=float) for scores, _ in (first, second))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a separation needs finite scores, got some that are not: look for the answers without one")
    comparable = np.ones((len(a), len(b)))
    if strata is not None:
        comparable = (np.array(strata[0], dtype=object)[:, None] == np.array(strata[1], dtype=object)[None]).astype(
            float
        )
    if not comparable.any():
        raise ValueError("no two answers can be compared: expected answers of both policies, in one stratum at least")
    above = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    from_first, from_second = (_membership(prompts, names) for _, prompts in (first, second))
    won, met = (from_first.T @ pairs @ from_second for pairs in (above * comparable, comparable))
    counts = resampled_sums(np.eye(len(names)), n_bootstrap, seed)  # how often each prompt is drawn
    draws = np.einsum("bi,ij,bj->b", counts, won, counts), np.einsum("bi,ij,bj->b", counts, met, counts)
    low, high = percentile_interval(draws[0][draws[1] > 0] / draws[1][draws[1] > 0])
    return Estimate(value=float(won.sum() / met.sum()), low=low, high=high, n=len(names))


def _membership(prompt_ids: Sequence[str], names: list[str]) -> NDArray[np.float64]:
    """Return 1 where the answer is to the prompt: (answers, prompts)."""
    place = {name: column for column, name in enumerate(names)}
    member = np.zeros((len(prompt_ids), len(names)))
    member[np.arange(len(prompt_ids)), [place[prompt] for prompt in prompt_ids]] = 1
    return member
