"""Elo ratings: Bradley-Terry strengths from head-to-heads, with intervals over prompts (figure 3 of the paper).

P(a beats b) = 1 / (1 + 10^((elo_b - elo_a) / 400)). Every pair of policies that met gets `PRIOR_TIES` extra ties:
without them a policy that never lost would be infinitely strong. One tie
pulls a gap of 400 points over 100 prompts to 392.

The intervals are from a Bayesian bootstrap (Rubin 1981): each prompt weighs what a draw from an exponential
distribution says, and so does each half of the extra ties (a gamma distribution with half the mean). Between two
policies that never tie this is the interval of Jeffreys' prior. A policy that won all of 50 head-to-heads keeps a wide
interval; prompts drawn with replacement would all say the same.
"""

import math
from dataclasses import dataclass

import evalica
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from cai_kedro.metrics.estimate import Estimate, percentile_interval

PRIOR_TIES = 1.0
ELO_PER_NAT = 400 / math.log(10)

_TOLERANCE = 1e-10
_MAX_ITERATIONS = 100_000
_MAX_STEPS = 1_000  # of Newton's method


def elo_gap(win_rate: float) -> float:
    """Return how many Elo points a policy with this win rate is ahead; a tie counts as half a win."""
    if not 0 < win_rate < 1:
        raise ValueError(f"an Elo gap needs a win rate strictly between 0 and 1, got {win_rate}")
    return ELO_PER_NAT * math.log(win_rate / (1 - win_rate))


def elo_ratings(head_to_heads: pd.DataFrame, reference: str, n_bootstrap: int, seed: int) -> dict[str, Estimate]:
    """Rate every policy in Elo points above the reference, with 95 % bootstrap intervals over prompts.

    `head_to_heads` holds one criterion. Ties count half. Prompts are weighed with all their head-to-heads, because
    the answers to one prompt are compared with each other. `n` counts the prompts of a policy. The reference stands at
    0 by definition: its interval is None, and no other one is. Raises `ValueError` for an empty table, several
    criteria, a policy against itself, or policies that no chain of head-to-heads links to the reference
    (`linked_policies` finds them).
    """
    fitted = fit_ratings(head_to_heads, reference, n_bootstrap, seed)
    return {policy: fitted.above_reference(policy) for policy in fitted.policies}


@dataclass(frozen=True)
class Ratings:
    """Elo points of `policies` above the `reference`: fitted (k,), and for every resample (n_bootstrap, k).

    `prompts` counts the prompts of each policy.
    """

    policies: list[str]
    reference: str
    ratings: NDArray[np.float64]
    draws: NDArray[np.float64]
    prompts: dict[str, int]

    def above_reference(self, policy: str) -> Estimate:
        """Return the rating of a policy; the reference stands at 0 by definition and has no interval."""
        if policy == self.reference:
            return Estimate(value=0.0, low=None, high=None, n=self.prompts[policy])
        return {**self.above(policy, self.reference), "n": self.prompts[policy]}

    def above(self, policy: str, other: str) -> Estimate:
        """Return the lead of a policy over another one, at the same resampled prompts; `n` is the smaller one."""
        i, j = self.policies.index(policy), self.policies.index(other)
        low, high = percentile_interval(self.draws[:, i] - self.draws[:, j])
        n = min(self.prompts[policy], self.prompts[other])
        return Estimate(value=float(self.ratings[i] - self.ratings[j]), low=low, high=high, n=n)


def fit_ratings(head_to_heads: pd.DataFrame, reference: str, n_bootstrap: int, seed: int) -> Ratings:
    """Fit the ratings and those of every resample of the prompts; arguments and errors as for `elo_ratings`."""
    policies = _checked_policies(head_to_heads, reference)
    points = _points_per_prompt(head_to_heads, policies)
    prior = _prior(points, policies, reference)
    zero = policies.index(reference)
    draws = np.stack([_fit(total, zero) for total in _weighed(points, prior, n_bootstrap, seed)])
    fitted = _fit(points.sum(axis=0) + prior, zero)
    return Ratings(policies, reference, fitted, draws, _prompts_of(head_to_heads))


def linked_policies(head_to_heads: pd.DataFrame, reference: str) -> list[str]:
    """Return the policies that a chain of head-to-heads links to the reference, itself included; none if it has none.

    `head_to_heads` holds one criterion.
    """
    policies = sorted({*head_to_heads["policy_a"], *head_to_heads["policy_b"]})
    if reference not in policies:
        return []
    component = _components(_points_per_prompt(head_to_heads, policies))
    return [name for i, name in enumerate(policies) if component[i] == component[policies.index(reference)]]


def strengths(head_to_heads: pd.DataFrame, reference: str) -> dict[str, float]:
    """Return the Elo points of every policy above the reference, without intervals."""
    policies = _checked_policies(head_to_heads, reference)
    points = _points_per_prompt(head_to_heads, policies)
    fitted = _fit(points.sum(axis=0) + _prior(points, policies, reference), policies.index(reference))
    return dict(zip(policies, map(float, fitted), strict=True))


def _checked_policies(head_to_heads: pd.DataFrame, reference: str) -> list[str]:
    criteria = sorted(set(head_to_heads["criterion"]))
    if len(criteria) != 1:
        raise ValueError(f"Elo ratings need head-to-heads of one criterion, got {len(criteria)}: {criteria}")
    if (head_to_heads["policy_a"] == head_to_heads["policy_b"]).any():
        raise ValueError("a head-to-head needs two different policies, got a policy against itself")
    if not head_to_heads["outcome"].between(0, 1).all():
        raise ValueError("an outcome must be in [0, 1]: 1 (A won), 0.5 (tie), 0 (A lost), or a share of several")
    policies = sorted({*head_to_heads["policy_a"], *head_to_heads["policy_b"]})
    if reference not in policies:
        raise ValueError(f"the reference policy {reference!r} has no head-to-head; those that have: {policies}")
    return policies


def _points_per_prompt(head_to_heads: pd.DataFrame, policies: list[str]) -> NDArray[np.float64]:
    """Return the points of policy i against policy j by prompt: (prompts, k * k), cell i * k + j."""
    k = len(policies)
    # sorted, so that the order of the rows changes no draw of the bootstrap
    prompts, names = pd.factorize(head_to_heads["prompt_id"], sort=True)
    a, b = (np.array([policies.index(name) for name in head_to_heads[side]]) for side in ("policy_a", "policy_b"))
    outcome = head_to_heads["outcome"].to_numpy(dtype=float)
    points = np.zeros((len(names), k * k))
    np.add.at(points, (prompts, a * k + b), outcome)
    np.add.at(points, (prompts, b * k + a), 1 - outcome)
    return points


def _prior(points: NDArray[np.float64], policies: list[str], reference: str) -> NDArray[np.float64]:
    """Return half of `PRIOR_TIES` in both cells of each pair that met: (k * k,)."""
    component = _components(points)
    apart = [name for i, name in enumerate(policies) if component[i] != component[policies.index(reference)]]
    if apart:
        raise ValueError(f"no chain of head-to-heads links {apart} to the reference policy {reference!r}")
    return np.where(_met(points).ravel(), PRIOR_TIES / 2, 0.0)


def _met(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether policy i met policy j at any prompt: (k, k)."""
    k = math.isqrt(points.shape[1])
    total = points.sum(axis=0).reshape(k, k)
    return np.asarray((total + total.T) > 0)


def _components(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the number of the group of policies, linked by head-to-heads, in which each one is: (k,)."""
    _, component = connected_components(_met(points), directed=False)
    return np.asarray(component)


def _weighed(
    points: NDArray[np.float64], prior: NDArray[np.float64], n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Return the points of a Bayesian bootstrap, prior included: (prompts, cells) → (n_bootstrap, cells)."""
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap must be at least 1, got {n_bootstrap}")
    rng = np.random.default_rng(seed)
    of_prompts = rng.standard_exponential((n_bootstrap, len(points))) @ points
    # a weight of 0 would make a policy that never lost infinitely strong after all
    ties = np.maximum(rng.standard_gamma(prior, size=(n_bootstrap, len(prior))), np.finfo(float).tiny)
    return np.asarray(of_prompts + np.where(prior > 0, ties, 0.0))


def _fit(points: NDArray[np.float64], zero: int) -> NDArray[np.float64]:
    """Return maximum-likelihood Elo ratings for points (k * k,), policy `zero` at 0: (k,)."""
    k = math.isqrt(len(points))
    cells = np.flatnonzero(points)
    fitted = evalica.bradley_terry(
        cells // k,
        cells % k,
        [evalica.Winner.X] * len(cells),
        index=pd.Index(range(k)),
        weights=points[cells],
        tolerance=_TOLERANCE,
        limit=_MAX_ITERATIONS,
    )
    with np.errstate(divide="ignore"):
        nats: NDArray[np.float64] = np.log(fitted.scores.reindex(range(k)).to_numpy(dtype=float))
    if fitted.iterations >= _MAX_ITERATIONS or not np.isfinite(nats).all():
        nats = _fit_far_apart(points.reshape(k, k))
    return np.asarray(ELO_PER_NAT * (nats - nats[zero]))


def _fit_far_apart(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return strengths in nats for points (k, k) whose iteration does not settle: some policies won nearly all.

    Newton's method on the same likelihood, which is convex.
    """
    played = points + points.T

    def loss(nats: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        leads = nats[:, None] - nats
        lost = float((points * np.logaddexp(0, -leads)).sum())
        return lost, np.asarray((played * expit(leads) - points).sum(axis=1))

    def curvature(nats: NDArray[np.float64]) -> NDArray[np.float64]:
        leads = nats[:, None] - nats
        each = played * expit(leads) * expit(-leads)
        return np.asarray(np.diag(each.sum(axis=1)) - each)

    options = {"gtol": 1e-9, "maxiter": _MAX_STEPS}
    found = minimize(loss, np.zeros(len(points)), jac=True, hess=curvature, method="trust-exact", options=options)
    if not found.success or not np.isfinite(found.x).all():
        raise RuntimeError(f"the Bradley-Terry fit did not converge ({found.message}): {points=}")
    return np.asarray(found.x)


def _prompts_of(head_to_heads: pd.DataFrame) -> dict[str, int]:
    played = pd.concat(
        [head_to_heads[["prompt_id", side]].rename(columns={side: "policy"}) for side in ("policy_a", "policy_b")]
    )
    return {str(policy): int(n) for policy, n in played.groupby("policy")["prompt_id"].nunique().items()}
