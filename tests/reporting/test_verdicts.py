"""What a study says stands on top of the page; without a study, how to make one."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.csv_text import as_csv
from cai_kedro.datasets.verdicts_dataset import COLUMNS, VerdictsDataset
from cai_kedro.metrics.claims import Claim, judge_claims
from cai_kedro.reporting.page import build_page
from cai_kedro.reporting.verdicts import verdict_section
from tests.reporting.tables import HOSTILE, summary


def verdicts(headline: bool = True, claim: str = "RL-CAI is more harmless than SL-CAI") -> pd.DataFrame:
    rows = [
        ("default", seed, f"elo.harmlessness.{policy}", value, value - 20, value + 20, 600)
        for policy, values in (("rl_cai", (500, 520, 540)), ("sl_cai", (400, 415, 425)))
        for seed, value in enumerate(values)
    ]
    figures = pd.DataFrame(rows, columns=["setting", "seed", "metric", "value", "low", "high", "n"])
    about = {"id": "x", "paper": "figure 2", "quantity": "elo.harmlessness.rl_cai - elo.harmlessness.sl_cai"}
    given = Claim.model_validate({**about, "claim": claim, "expected": "above", "matters": 30, "headline": headline})
    return judge_claims(figures, [given], ["default"]).assign(study="mine", commit="abc")


def test_headline_claims_stand_above_everything_else() -> None:
    page = build_page(summary(), [], {}, {}, {}, ["no judge"], verdicts=verdicts())
    body = page[page.index("<main>") :]
    assert body.index("What the paper claims, over seeds") < body.index("Not measured") < body.index("What each policy")
    for told in (
        "<b>agrees</b>",
        "100, 105, 115<small>8; ± 28</small>",
        "<td>600, 3</td>",
        "expected above 0 by 30",
        "the study mine",
    ):
        assert told in body, told
    assert "kedro study headline" not in body


@pytest.mark.parametrize("table", [verdicts(headline=False), VerdictsDataset(filepath=None).load()])
def test_without_them_a_line_says_how_to_make_a_study(table: pd.DataFrame) -> None:
    section = verdict_section(table)
    assert "<table" not in section
    assert "`kedro study headline`" in section


def test_no_text_of_a_claim_becomes_markup() -> None:
    assert HOSTILE not in verdict_section(verdicts(claim=HOSTILE))
    assert verdict_section(verdicts(claim=HOSTILE)).count("<script") == 0


def test_what_a_study_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "claims.csv"
    file.write_text(as_csv(verdicts()), encoding="utf-8")
    read = VerdictsDataset(filepath=file).load()
    assert verdict_section(read) == verdict_section(verdicts())
    assert list(read["headline"]) == [True]


def test_another_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "claims.csv"
    with pytest.raises(DatasetError, match=r"No such file.*study_verdicts in the catalog, or null"):
        VerdictsDataset(filepath=file).load()
    file.write_text(as_csv(verdicts().drop(columns=["verdict"])))
    with pytest.raises(DatasetError, match="it lacks the columns verdict"):
        VerdictsDataset(filepath=file).load()
    file.write_text(as_csv(verdicts().assign(mean="many")))
    with pytest.raises(DatasetError, match="cannot be read as the claims of a study"):
        VerdictsDataset(filepath=file).load()
    assert set(COLUMNS) <= set(verdicts().columns)
    with pytest.raises(DatasetError, match="written by kedro study"):
        VerdictsDataset(filepath=file).save(verdicts())  # type: ignore[arg-type]
