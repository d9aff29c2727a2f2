"""How far raters agree: simulated ones who are asked anew, and people whose votes are known."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from cai_kedro.core.seeding import rng_for
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.rater_agreement import measure_rater_agreement
from cai_kedro.reporting.figures.raters import draw_rater_agreement
from tests.pipelines.builders import pair_table

PARAMETERS = Path(__file__).parents[2] / "conf" / "base" / "parameters_evaluation.yml"


@pytest.fixture
def params() -> EvaluationParams:
    shipped = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["evaluation"]
    return EvaluationParams.model_validate({**shipped, "raters": {"pairs": 300, "votes": 3}})


class NoisyRaters:
    """Prefer A, each time with the same probability; have no view of the first pair."""

    def __init__(self, p: float) -> None:
        self.p = p

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        said = [float(rng_for(seed, pair_id).random() < self.p) for pair_id in pairs["pair_id"]]
        return pairs.assign(p_a_better=said)[pairs["pair_id"] != "p0.x.0"]


PAIRS = pair_table([(f"a{i}", f"b{i}") for i in range(300)])


def test_simulated_raters_are_asked_anew(params: EvaluationParams) -> None:
    metrics = measure_rater_agreement(NoisyRaters(0.8), params, 0, helpfulness=PAIRS)
    alike, alpha = (metrics[f"rater_agreement.helpfulness.{name}"] for name in ("alike", "alpha"))
    # two of them prefer the same in 0.8 * 0.8 + 0.2 * 0.2 of the cases, as often as chance does
    assert alike["low"] < 0.68 < alike["high"]
    assert alpha["low"] < 0 < alpha["high"] < 0.2
    assert metrics["rater_agreement.helpfulness.raters"] == {"value": 3, "low": None, "high": None, "n": 299}
    again = measure_rater_agreement(NoisyRaters(0.8), params, 0, helpfulness=PAIRS)
    assert again == metrics
    sure = measure_rater_agreement(NoisyRaters(1.0), params, 0, helpfulness=PAIRS)
    assert sure["rater_agreement.helpfulness.alike"]["value"] == 1
    assert "rater_agreement.helpfulness.alpha" not in sure, "chance agrees as well"


def test_votes_that_are_known_are_taken(params: EvaluationParams) -> None:
    class Known(NoisyRaters):
        def votes(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
            rows = [("p0.x.0", "ann", 1.0), ("p0.x.0", "bob", 1.0), ("p1.x.0", "ann", 0.0), ("p1.x.0", "bob", 1.0)]
            return pd.DataFrame([*rows, ("p2.x.0", "ann", 1.0)], columns=["pair_id", "rater", "prefers_a"])

    metrics = measure_rater_agreement(Known(0.5), params, 0, harmlessness=PAIRS)
    assert metrics["rater_agreement.harmlessness.alike"]["value"] == 0.5
    assert metrics["rater_agreement.harmlessness.raters"]["n"] == 2, "one vote agrees with nobody"


def test_recorded_comparisons_without_votes_leave_nothing_to_measure(
    params: EvaluationParams, caplog: pytest.LogCaptureFixture
) -> None:
    class Recorded(NoisyRaters):
        path = "somewhere"

        def recorded_pairs(self, prompts: pd.DataFrame) -> pd.DataFrame:
            return prompts

        def compared(self, objective: str, prompts: pd.DataFrame) -> tuple[int, int]:
            return 0, 0

    assert measure_rater_agreement(Recorded(0.8), params, 0, harmlessness=PAIRS) == {}
    assert "how far raters agree is not known" in caplog.text


def test_the_report_draws_both_and_says_where_one_is_missing(params: EvaluationParams) -> None:
    assert draw_rater_agreement({}).layout.meta["measured"] is False
    metrics = measure_rater_agreement(NoisyRaters(0.8), params, 0, helpfulness=PAIRS)
    sure = measure_rater_agreement(NoisyRaters(1.0), params, 0, harmlessness=PAIRS)
    figure = draw_rater_agreement({**sure, **metrics})
    assert [list(bar.x) for bar in figure.data] == [["harmlessness", "helpfulness"], ["helpfulness"]]
    assert figure.data[0].y[0] == 1
    found = figure.layout.meta["found"].replace("\xa0", " ")
    assert "harmlessness: 100 % [99, 100], n = 299 pairs, 3.0 raters each; helpfulness" in found
    assert found.count(", alpha") == 1
