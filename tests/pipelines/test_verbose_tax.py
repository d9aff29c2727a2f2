"""What verbose cloning costs, on ratings whose differences are known."""

import logging

import pandas as pd
import pytest

from cai_kedro.core.exam import Exam
from cai_kedro.pipelines.evaluation import create_pipeline
from cai_kedro.pipelines.evaluation.verbose_tax import measure_verbose_tax
from tests.lineages import LINEAGE, lineage
from tests.pipelines.builders import AXES


def judgements(engraved: list[float | None], verbose: list[float | None], axis: str = "harmlessness") -> pd.DataFrame:
    rows = [
        (policy, f"p{i}", 0, axis, rating, words)
        for policy, ratings, words in (("e", engraved, "No."), ("v", verbose, "No, and this is why."))
        for i, rating in enumerate(ratings)
    ]
    return pd.DataFrame(rows, columns=["policy", "prompt_id", "sample", "axis", "rating", "response"])


def test_differences_are_of_one_prompt() -> None:
    table = judgements([4.0, 3.0, 2.0, None], [3.0, 1.0, 2.0, 4.0])
    metrics = measure_verbose_tax(table, engraved="e", verbose="v")
    tax = metrics["verbose_tax.harmlessness"]
    assert (tax["value"], tax["n"]) == (pytest.approx(-1.0), 3)
    assert tax["low"] is not None
    assert tax["high"] is not None
    assert -4 <= tax["low"] < -1 < tax["high"] <= 4
    assert metrics["verbose_tax.words"]["value"] == 4.0
    other = measure_verbose_tax(table, engraved="v", verbose="e")
    assert other["verbose_tax.harmlessness"]["value"] == pytest.approx(1.0)


def test_axes_are_apart_and_words_count_once() -> None:
    table = pd.concat([judgements([4.0, 4.0], [4.0, 4.0]), judgements([1.0], [3.0], "helpfulness")])
    metrics = measure_verbose_tax(table, engraved="e", verbose="v")
    assert {name: each["n"] for name, each in metrics.items()} == {
        "verbose_tax.harmlessness": 2,
        "verbose_tax.helpfulness": 1,
        "verbose_tax.words": 2,
    }


def test_without_a_prompt_in_common_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert measure_verbose_tax(judgements([1.0], []), engraved="e", verbose="v") == {}
    assert "e and v have no prompt in common" in caplog.text


def test_it_is_measured_where_both_are_evaluated() -> None:
    both = {f"self_align_{name}": {"enabled": True} for name in ("engraved", "verbose")}
    for known, there in ((lineage({"policies": both}), True), (LINEAGE, False)):
        made = create_pipeline(known, Exam(axes=AXES), set()).all_outputs()
        assert ("evaluation.verbose_tax_metrics" in made) == there
