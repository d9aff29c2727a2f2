"""The picture of a study."""

import pandas as pd

from cai_kedro.studies.figure import draw_study
from cai_kedro.studies.table import CELL_COLUMNS


def cells(*rows: tuple[str, int, str, str, float]) -> pd.DataFrame:
    """Rows of setting, seed, policy, axis and rating."""
    table = [
        (setting, seed, policy, f"elo.{axis}", f"elo.{axis}.{policy}", value, value - 9, value + 9, 30)
        for setting, seed, policy, axis, value in rows
    ]
    other = ("default", 0, "rl_cai", "elo_gap", "elo_gap.harmlessness.rl_cai", 1.0, 0.0, 2.0, 30)
    return pd.DataFrame([*table, other], columns=list(CELL_COLUMNS))


def test_every_policy_stands_in_the_panel_of_its_setting() -> None:
    rated = [
        (setting, seed, policy, axis, 10.0 * seed)
        for setting in ("default", "inverted")
        for seed in (0, 1, 2)
        for policy in ("sl_cai", "rl_cai")
        for axis in ("harmlessness", "helpfulness")
        if (setting, policy) != ("inverted", "sl_cai")
    ]
    picture = draw_study(cells(*rated), ["default", "inverted", "silent"])
    assert picture.startswith("<?xml")
    names = ["default", "inverted", "silent", "sl_cai", "rl_cai", "pretrained"]
    assert [picture.count(f"<!-- {name} -->") for name in names] == [1, 1, 0, 1, 1, 0]
    assert picture == draw_study(cells(*rated), ["default", "inverted", "silent"]), "the same bytes each time"


def test_without_ratings_on_both_axes_there_is_none() -> None:
    assert draw_study(cells(("default", 0, "rl_cai", "harmlessness", 3.0)), ["default"]) == ""
