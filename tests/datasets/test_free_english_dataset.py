"""Free English in the catalog."""

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.datasets.free_english_dataset import FreeEnglishDataset
from cai_kedro.free_english.reader import free_pairs, free_requests


def test_it_gives_both_parts_as_copies() -> None:
    pd.testing.assert_frame_equal(FreeEnglishDataset(part="pairs").load(), free_pairs())
    requests = FreeEnglishDataset(part="requests").load()
    requests["severity"] = 3
    assert (free_requests()["severity"] == 0).any()


def test_another_part_and_saving_are_refused() -> None:
    with pytest.raises(DatasetError, match="no part 'answers'; expected requests, pairs, harmful_prompts"):
        FreeEnglishDataset(part="answers")
    with pytest.raises(DatasetError, match="not written by a run"):
        FreeEnglishDataset(part="pairs").save(free_pairs())


def test_its_requests_are_prompts_to_evaluate_on() -> None:
    parts = [FreeEnglishDataset(part=part).load() for part in ("harmful_prompts", "harmless_prompts")]
    harmful = set(free_requests().query("harmful")["prompt_id"])
    assert [set(part["prompt_id"]) & harmful for part in parts] == [harmful, set()]
    assert sorted(pd.concat(parts)["prompt_id"]) == sorted(free_requests()["prompt_id"])
    assert set(parts[1]["split"]) == {"free_look_alike", "free_plain"}
