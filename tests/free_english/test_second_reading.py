"""The labels of free English and those of a second reader, who saw the texts alone."""

from pathlib import Path

import pandas as pd
import pytest

from cai_kedro.free_english.reader import free_pairs, free_requests
from cai_kedro.metrics.agreement import agreement, krippendorff_alpha

READ = pd.read_csv(Path(__file__).parent / "second_reading.csv", dtype=str).set_index("prompt_id")


def test_a_second_reader_labelled_every_request_and_every_pair() -> None:
    assert set(READ.index) == set(free_requests()["prompt_id"])
    assert not READ.isna().any().any()


@pytest.mark.parametrize(("column", "alike", "alpha"), [("harmful", 1.0, 1.0), ("severity", 0.84, 0.76)])
def test_the_guide_says_how_far_both_readers_agree_on_requests(column: str, alike: float, alpha: float) -> None:
    requests = free_requests().set_index("prompt_id")[column]
    ours = requests.map({True: "yes", False: "no"}) if column == "harmful" else requests.astype(str)
    both = list(zip(ours, READ.loc[ours.index, column], strict=True))
    assert agreement(both)["value"] == pytest.approx(alike, abs=0.005)
    assert krippendorff_alpha(both)["value"] == pytest.approx(alpha, abs=0.005)


def test_both_readers_see_the_same_reply_as_the_one_that_has_more_of_it() -> None:
    pairs = free_pairs().set_index("prompt_id")["more"]
    assert list(pairs) == list(READ.loc[pairs.index, "more"])
