"""Whether the labels of an arm say anything at all, looked at before a preference model learns from them."""

import pandas as pd

from cai_kedro.core.gates import GateClosed
from cai_kedro.metrics.estimate import proportion
from cai_kedro.templates.rlhf.parameters import ArmParams, LabelParams

_UNDECIDED = 0.5
_NO_CHANCE = 20  # pairs that the same side wins by chance once in half a million times: sides are drawn


def check_labels(comparisons: pd.DataFrame, params: LabelParams, arm: ArmParams) -> None:
    """Raise `GateClosed` with the figures where the labels of an objective prefer nothing (`comparisons`).

    Looked at are the labels of each source and objective by themselves, so that good ones of one objective do not cover
    dead ones of another: all ties, or all the same; or, for labels by a model, no spread, or labels that go by the
    order of the options. A model that always prefers the first letter gives 0.5 to every pair in both orders, and
    prefers A in one. Spread is that of the labels before their clamp, since a clamp narrows good labels too.
    """
    for (objective, source), labels in comparisons.groupby(["objective", "source"], sort=True):
        owner = f"the {len(labels)} labels of {arm.name!r} for {objective} (source {source})"
        if (labels["p_a_better"] == _UNDECIDED).all():
            raise GateClosed(
                f"{owner} are ties, all of them 0.5: a preference model can learn nothing; look at who labels"
            )
        read = labels[labels["p_a_first"].notna()]
        if len(read) > 1:
            _check_read(read, params, owner)
        elif len(labels) >= _NO_CHANCE and labels["p_a_better"].nunique(dropna=False) == 1:
            raise GateClosed(
                f"{owner} are all {labels['p_a_better'].iloc[0]:g}, whatever the answers are: a preference model can "
                f"learn nothing; look at who labels"
            )


def _check_read(labels: pd.DataFrame, params: LabelParams, owner: str) -> None:
    """Check labels that were read from the probabilities of option letters, in one order or in both."""
    first, second = labels["p_a_first"], labels["p_a_second"]
    spread = float(first.where(second.isna(), (first + second) / 2).std(ddof=0))
    of_first = float(pd.concat([first, 1 - second.dropna()]).mean())
    figures = f"spread {spread:.4f}, P(first option) {of_first:.3f} on average"
    both = second.notna()
    if both.any():
        by_place = proportion(float(((first - _UNDECIDED) * (second - _UNDECIDED) < 0).sum()), int(both.sum()))
        figures += f", the two orders prefer another answer in {by_place['value']:.3f} of {by_place['n']} pairs"
    else:  # who stands first is drawn, so an option that nearly always wins does so by its place
        wins = max((first > _UNDECIDED).sum(), (first < _UNDECIDED).sum())
        by_place = proportion(int(wins), len(first))
        figures += f", the same option is preferred in {by_place['value']:.3f} of {by_place['n']} pairs"
    advice = "see whether the labeller reads the prompt's layout and the principles, or take a better one"
    if spread < params.min_spread:
        raise GateClosed(f"{owner} prefer nothing: {figures}; rlhf.labels.min_spread is {params.min_spread}; {advice}")
    if (by_place["low"] or 0.0) > params.max_contradictions:
        raise GateClosed(
            f"{owner} go by the order of the options: {figures}; rlhf.labels.max_contradictions is "
            f"{params.max_contradictions}; {advice}"
        )
