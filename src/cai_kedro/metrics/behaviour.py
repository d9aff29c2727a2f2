"""How often policies show a group of behaviours."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from cai_kedro.metrics.estimate import proportion


def behaviour_shares(
    judgements: pd.DataFrame, groups: Mapping[str, Mapping[str, Collection[str]]], by: Sequence[str]
) -> pd.DataFrame:
    """Return the share of each group of behaviours, one row per combination of `by`, axis and group.

    `judgements` is a table of that kind; `groups` maps an axis to its groups and a group to its behaviours: the share
    of `complies` is one of red-team prompts, the share of `right` one of helpful prompts. Answers without a behaviour
    do not count. Columns: `by`, `axis`, `group`, `value`, `low`, `high` (Wilson), `n`; rows in order of appearance.
    """
    rows = []
    for key, part in judgements[judgements["behaviour"].notna()].groupby([*by, "axis"], sort=False):
        *of, axis = key
        for group, behaviours in groups.get(str(axis), {}).items():
            shown = int(part["behaviour"].isin(list(behaviours)).sum())
            where = dict(zip(by, of, strict=True))
            rows.append({**where, "axis": axis, "group": group, **proportion(shown, len(part))})
    return pd.DataFrame(rows, columns=[*by, "axis", "group", "value", "low", "high", "n"])
