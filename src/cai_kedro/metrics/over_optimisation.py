"""Over-training: what goes wrong while the preference model's score rises, and which snapshot to keep (§4.3; F12).

The choice uses what is known without a judge: the score, and limits on how far a policy may go to reach it.
"""

from dataclasses import dataclass

import pandas as pd

from cai_kedro.core.seeding import derive_seed
from cai_kedro.metrics.boilerplate import boilerplate_shares
from cai_kedro.metrics.collapse import CollapseLimits, collapse_faults, collapse_of
from cai_kedro.metrics.diversity import distinct_n_estimate
from cai_kedro.metrics.estimate import Estimate, bounded_mean, mean, paired_difference, proportion
from cai_kedro.metrics.evasiveness import is_evasive

#: Words in the sequences whose variety is measured.
DISTINCT = 2


@dataclass(frozen=True)
class Limits:
    """How far a policy may go: KL in nats, shares in [0, 1]; the last ones against the start policy's."""

    max_kl: float
    min_eos_rate: float
    min_distinct: float
    max_evasive_rise: float
    collapse: CollapseLimits


def signals_of(replies: pd.DataFrame) -> dict[str, Estimate]:
    """Return what one snapshot's replies show (rows of `signals` of one step), all without a judge.

    `pm_score`, `kl` (nats), `tokens` per reply, `eos_rate` (replies that end by themselves, before another turn),
    `evasive` and `boilerplate` as shares, `distinct_2` (distinct pairs of words over all pairs; compare equal numbers
    of replies only). Without a preference model there is no `pm_score`.
    """
    texts, prompts = list(replies["response"]), list(replies["prompt_id"])
    return {
        **({"pm_score": mean(replies["pm_score"])} if replies["pm_score"].notna().all() else {}),
        "kl": mean(replies["kl"]),
        "tokens": mean(replies["tokens"]),
        "eos_rate": proportion(float(replies["ended"].sum()), len(replies)),
        "evasive": proportion(sum(map(is_evasive, texts)), len(texts)),
        "boilerplate": bounded_mean(boilerplate_shares(texts, prompts), 0, 1),
        f"distinct_{DISTINCT}": distinct_n_estimate(texts, DISTINCT),
    }


def choose_snapshot(replies: pd.DataFrame, limits: Limits, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Say which snapshot to keep and why (a table of kind `signals` → one row a snapshot).

    Of the snapshots within all limits, the one with the best mean score is kept, the earliest of equal ones; but step
    0, the start policy, where that one is not clearly better than it: the 95 % interval of the difference over the same
    prompts holds 0. A start policy beyond a limit is left behind, unless all are. Where nothing is scored, the last one
    within the limits is kept.

    Columns: `step`, the value of every signal, `repeated_sentences`, `alike` and `length` (`metrics/collapse.py`),
    `collapsed`, `kept`, `why`. Raises `ValueError` without a snapshot after step 0.
    """
    by_step = {int(step): part for (step,), part in replies.groupby(["step"], sort=True)}
    found = {step: signals_of(part) for step, part in by_step.items()}
    if set(found) == {0}:
        raise ValueError(
            "there is no snapshot to keep: lower snapshot_every of its algorithm (rlhf.rl), or train longer"
        )
    collapse = {step: collapse_of(part) for step, part in by_step.items()}
    collapsed = {
        step: [
            *_variety_faults(found[step], found[0], limits),
            *collapse_faults(collapse[step], collapse[0], limits.collapse),
        ]
        for step in found
    }
    faults = {step: [*_faults(found[step], found[0], limits), *collapsed[step]] for step in found}
    fine = [step for step, wrong in faults.items() if not wrong]
    why = {step: "; ".join(wrong) for step, wrong in faults.items()}
    if fine and "pm_score" not in found[0]:
        kept = max(fine)
        why[kept] = "kept: the last one within the limits; no preference model scores it"
    elif fine:
        kept, told = _best_or_start(by_step, fine, n_bootstrap, seed)
        why |= told
    else:
        kept = 0
        why[0] = f"kept, as no policy is within the limits; {why[0]}"
    why[0] = f"start policy; {why[0]}"
    rows = [
        {
            "step": step,
            **{name: estimate["value"] for name, estimate in signals.items()},
            **collapse[step].columns(collapse[0]),
            "collapsed": bool(collapsed[step]),
            "kept": step == kept,
            "why": why[step],
        }
        for step, signals in found.items()
    ]
    return pd.DataFrame(rows)


def _best_or_start(
    by_step: dict[int, pd.DataFrame], fine: list[int], n_bootstrap: int, seed: int
) -> tuple[int, dict[int, str]]:
    """Return the best of these snapshots, or the start policy if it is not clearly better than that; a word on each."""
    scores = {step: by_step[step].set_index("prompt_id")["pm_score"].sort_index().to_numpy() for step in fine}
    best = max(fine, key=lambda step: (scores[step].mean(), -step))
    gaps = {
        step: paired_difference(scores[best], scores[step], n_bootstrap, derive_seed(seed, "snapshot choice", step))
        for step in fine
        if step != best
    }
    told = {step: f"its score is {_interval(gap)} below the best, step {best}" for step, gap in gaps.items()}
    told[best] = "the best score within the limits"
    if 0 in gaps and not (gaps[0]["low"] or 0) > 0:
        told[best] += f", but not clearly above the start policy's: {_interval(gaps[0])}"
        told[0] = f"kept, as no score is clearly above its own: {told[0]}"
        return 0, told
    told[best] = f"kept: {told[best]}"
    return best, told


def _interval(gap: Estimate) -> str:
    return f"{gap['value']:.2f}" + ("" if gap["low"] is None else f" [{gap['low']:.2f}, {gap['high']:.2f}]")


def _faults(found: dict[str, Estimate], start: dict[str, Estimate], limits: Limits) -> list[str]:
    now, before = ({name: estimate["value"] for name, estimate in of.items()} for of in (found, start))
    faults = []
    if now["kl"] > limits.max_kl:
        faults.append(f"KL {now['kl']:.2f} above {limits.max_kl}")
    if now["eos_rate"] < limits.min_eos_rate:
        faults.append(f"EOS rate {now['eos_rate']:.2f} below {limits.min_eos_rate}")
    if now["evasive"] > before["evasive"] + limits.max_evasive_rise:
        faults.append(
            f"evasive {now['evasive']:.2f}, over {limits.max_evasive_rise} above {before['evasive']:.2f} at the start"
        )
    return faults


def _variety_faults(found: dict[str, Estimate], start: dict[str, Estimate], limits: Limits) -> list[str]:
    name = f"distinct_{DISTINCT}"
    now, before = found[name]["value"], start[name]["value"]
    if now >= limits.min_distinct * before:
        return []
    return [f"{name} {now:.2f}, below {limits.min_distinct} of {before:.2f} at the start"]
