"""Figures of skills, against shares counted by hand."""

import pandas as pd
import pytest

from cai_kedro.core.schemas import check_table
from cai_kedro.metrics.estimate import proportion
from cai_kedro.metrics.skills import COLUMNS, last_figures, skill_figures


def answers() -> pd.DataFrame:
    rows = [
        (step, "held_out", "copy", part, f"{part}{place}", "accuracy", float(right), "text")
        for step, rights in ((0, "0000"), (9, "1101"))
        for place, right in enumerate(rights)
        for part in ("act", "kind")[: 1 + (place % 2)][-1:]
    ]
    rows += [(9, "free", "pairs.less", "harmful", "p0", "p_harmless", 0.75, None)]
    columns = ["step", "set", "skill", "part", "item_id", "figure", "value", "text"]
    return check_table("skill_answers", pd.DataFrame(rows, columns=columns))


def test_shares_of_all_and_of_parts() -> None:
    figures = skill_figures(answers())
    assert list(figures) == COLUMNS
    of_copy = figures[(figures["skill"] == "copy") & (figures["step"] == 9)].set_index("part")
    assert of_copy["value"].to_dict() == {"all": 0.75, "act": 0.5, "kind": 1.0}
    assert of_copy["n"].to_dict() == {"all": 4, "act": 2, "kind": 2}
    whole = proportion(3, 4)
    assert of_copy.loc["all", ["low", "high"]].tolist() == pytest.approx([whole["low"], whole["high"]])


def test_a_single_part_is_told_once() -> None:
    figures = skill_figures(answers())
    assert figures[figures["set"] == "free"]["part"].tolist() == ["all"]


def test_metrics_are_those_of_the_last_step() -> None:
    metrics = last_figures(skill_figures(answers()))
    assert set(metrics) == {"skills.held_out.copy.accuracy", "skills.free.pairs.less.p_harmless"}
    assert metrics["skills.held_out.copy.accuracy"]["value"] == 0.75
    assert metrics["skills.free.pairs.less.p_harmless"]["n"] == 1
