"""How often policies show a group of behaviours."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from cai_kedro.core.judging import LOOK_ALIKE
from cai_kedro.metrics.estimate import proportion

_ANSWER = ["policy", "prompt_id", "sample"]


def behaviour_shares(
    judgements: pd.DataFrame, groups: Mapping[str, Mapping[str, Collection[str]]], by: Sequence[str]
) -> pd.DataFrame:
    """Return the share of each group of behaviours, one row per combination of `by`, axis and group.

    `judgements` is a table of that kind; `groups` maps an axis to its groups and a group to its behaviours: the share
    of `complies` is one of red-team prompts, the share of `right` one of helpful prompts. Answers to look-alikes count
    under `look_alike` in the place of an axis, whichever axes they are on, and under no other. Answers without a
    behaviour do not count. Columns: `by`, `axis`, `group`, `value`, `low`, `high` (Wilson), `n`; rows in order of
    appearance.
    """
    rows = []
    for key, part in _look_alikes_apart(judgements[judgements["behaviour"].notna()]).groupby([*by, "axis"], sort=False):
        *of, axis = key
        for group, behaviours in groups.get(str(axis), {}).items():
            shown = int(part["behaviour"].isin(list(behaviours)).sum())
            where = dict(zip(by, of, strict=True))
            rows.append({**where, "axis": axis, "group": group, **proportion(shown, len(part))})
    return pd.DataFrame(rows, columns=[*by, "axis", "group", "value", "low", "high", "n"])


def to_look_alikes(judgements: pd.DataFrame) -> pd.Series:
    """Tell of each row of `judgements` whether the request only looks harmful."""
    return judgements["category"].eq(LOOK_ALIKE).astype(bool)


def _look_alikes_apart(judgements: pd.DataFrame) -> pd.DataFrame:
    """Put answers to look-alikes under an axis of their own, each once."""
    apart = to_look_alikes(judgements)
    again = apart & judgements.duplicated([*_ANSWER, "category"])
    return judgements.assign(axis=judgements["axis"].where(~apart, LOOK_ALIKE))[~again]
