"""The one table of a study, on made-up figures with known answers."""

import pandas as pd
import pytest

from cai_kedro.metrics.claims import FEW_SEEDS, Claim, judge_claims
from cai_kedro.studies.figures_of_chain import split_name
from cai_kedro.studies.table import CELL_COLUMNS, claim_lines, in_words, table_lines, table_of


def cells(seeds: int = 3) -> pd.DataFrame:
    rows = [
        (
            "default",
            seed,
            "rl_cai",
            "elo.harmlessness",
            "elo.harmlessness.rl_cai",
            500 + 30 * seed,
            480 + 30 * seed,
            510 + 30 * seed,
            600 - seed,
        )
        for seed in range(seeds)
    ]
    rows += [("default", seed, "", "label.ai.ece", "label.ai.ece", 0.05, None, None, 99) for seed in range(seeds)]
    return pd.DataFrame(rows, columns=list(CELL_COLUMNS))


def test_a_row_holds_the_seeds_their_spread_and_the_prompts_interval() -> None:
    elo, ece = table_of(cells()).to_dict("records")
    assert (elo["setting"], elo["policy"], elo["measure"]) == ("default", "rl_cai", "elo.harmlessness")
    assert (elo["mean"], elo["sd"], elo["lowest"], elo["highest"]) == (530, 30, 500, 560)
    # an interval over prompts does not shrink with the seeds, which are asked the same prompts
    assert (elo["low"], elo["high"], elo["n"], elo["seeds"]) == (510, 540, 598, 3)
    assert elo["values"] == "0: 500; 1: 530; 2: 560"
    assert elo["note"] == ""
    assert pd.isna(ece["low"])


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_marked(seeds: int) -> None:
    assert set(table_of(cells(seeds))["note"]) == {FEW_SEEDS}


def test_the_markdown_shows_what_fits_a_pattern() -> None:
    lines = table_lines(table_of(cells()), ["elo.*"])
    assert lines[2:] == ["| default | rl_cai | elo.harmlessness | 530 | 500, 530, 560 | 30 | [510, 540] | 598 | 3 |"]
    assert len(table_lines(table_of(cells()), ["*"])) == 4
    assert (
        table_lines(table_of(cells(1)), ["label.*"])[2]
        == "| default | – | label.ai.ece | 0.05 | 0.05 | – | – | 99 | 1 |"
    )


def test_verdicts_stand_with_what_they_rest_on() -> None:
    claim = {
        "id": "x",
        "claim": "rises",
        "paper": "figure 2",
        "quantity": "elo.harmlessness.rl_cai",
        "expected": "above",
        "matters": 30,
    }
    claims = [
        Claim.model_validate(claim),
        Claim.model_validate({**claim, "id": "y", "claim": "is there", "quantity": "none"}),
    ]
    lines = claim_lines(judge_claims(cells(), claims, ["default"]))
    # 530 with sd 30: error sqrt(300 + (15 / 1.96)**2) = 18.9, 2.8 degrees of freedom
    assert lines[2].startswith("| rises | **agrees** | figure 2 | default | above 0 by 30 | 530 [4")
    assert lines[2].endswith("| – |")
    assert lines[-1] == "Not measured in this study: is there."


@pytest.mark.parametrize(
    ("metric", "policy", "measure"),
    [
        ("elo.harmlessness.rl_cai", "rl_cai", "elo.harmlessness"),
        ("behaviour.rl_cai.all.objects", "rl_cai", "behaviour.all.objects"),
        ("label.ai.accuracy", "", "label.ai.accuracy"),
    ],
)
def test_a_metric_belongs_to_its_policy(metric: str, policy: str, measure: str) -> None:
    assert split_name(metric, ("rl_cai", "sl_cai")) == (policy, measure)


@pytest.mark.parametrize(
    ("seconds", "told"), [(59.4, "59 s"), (272, "4 min 32 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_times_are_told_in_words(seconds: float, told: str) -> None:
    assert in_words(seconds) == told
