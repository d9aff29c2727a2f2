"""Known groups: on the half that no rule was made on, evasiveness and boilerplate tell the paper's policies apart."""

import pandas as pd
import pytest

from cai_kedro.metrics.boilerplate import boilerplate_shares
from cai_kedro.metrics.clustered import mean_over_prompts, separation
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.evasiveness import evasiveness, is_evasive
from tests.metrics.released import POLICIES, cut_to, needs_samples, released_answers

pytestmark = needs_samples
DRAWS = 1000


@pytest.fixture(scope="module")
def answers() -> dict[str, pd.DataFrame]:
    table = released_answers()
    unseen = table[table["half"] == "test"]
    unseen = unseen.assign(
        score=unseen["response"].map(evasiveness), evasive=unseen["response"].map(is_evasive).astype(float)
    )
    return {policy: unseen[unseen["policy"] == policy].reset_index(drop=True) for policy in POLICIES}


def rate(values: pd.Series, of: pd.DataFrame) -> Estimate:
    return mean_over_prompts(values, list(of["prompt_id"]), DRAWS, 0)


def boilerplate(of: pd.DataFrame) -> Estimate:
    """Of answers that are not evasive: an evasion said to everybody is boilerplate too, and known already."""
    said = of[of["evasive"] == 0]
    return rate(pd.Series(boilerplate_shares(list(said["response"]), list(said["prompt_id"]))), said)


def test_the_groups_are_whole(answers: dict[str, pd.DataFrame]) -> None:
    assert {policy: (len(table), table["prompt_id"].nunique()) for policy, table in answers.items()} == dict.fromkeys(
        POLICIES, (408, 24)
    )


def test_people_who_label_harm_reward_evasion_and_ai_feedback_does_not(answers: dict[str, pd.DataFrame]) -> None:
    rates = {policy: rate(table["evasive"], table) for policy, table in answers.items()}
    assert rates["HHRLHF"]["value"] == pytest.approx(0.30, abs=0.005)
    assert (rates["HHRLHF"]["low"] or 0) > 0.1
    assert [rates[policy]["value"] for policy in POLICIES[1:]] == [0, 0, 0]
    a, b = answers["HHRLHF"], answers["RLMADISON"]
    found = separation((a["score"], list(a["prompt_id"])), (b["score"], list(b["prompt_id"])), DRAWS, 0)
    assert found["value"] == pytest.approx(0.65, abs=0.005)
    assert (found["low"] or 0) > 0.5


def test_they_differ_at_equal_length_too(answers: dict[str, pd.DataFrame]) -> None:
    """Each answer of RL-CAI is cut to the length of HH RLHF's to the same prompt, and only equal lengths compared."""
    both = answers["HHRLHF"].merge(answers["RLMADISON"], on=["prompt_id", "sample"], suffixes=("", "_ai"))
    lengths = [len(text.split()) for text in both["response"]]
    cut = [cut_to(text, n) for text, n in zip(both["response_ai"], lengths, strict=True)]
    strata = (lengths, [len(text.split()) for text in cut])
    prompts = list(both["prompt_id"])
    found = separation((both["score"], prompts), ([evasiveness(t) for t in cut], prompts), DRAWS, 0, strata)
    assert found["value"] == pytest.approx(0.77, abs=0.005)
    assert (found["low"] or 0) > 0.5
    by_length = separation((lengths, prompts), (strata[1], prompts), DRAWS, 0, strata)
    assert by_length["value"] == 0.5


def test_ai_feedback_says_the_same_warm_words_to_everybody(answers: dict[str, pd.DataFrame]) -> None:
    shares = {policy: boilerplate(table) for policy, table in answers.items()}
    assert shares["RLMADISON"]["value"] == pytest.approx(0.395, abs=0.005)
    for other in ("HHRLHF", "HRLHF", "RLMADISON_COT"):
        assert (shares[other]["high"] or 1) < (shares["RLMADISON"]["low"] or 0), other
