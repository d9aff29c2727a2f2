"""Free English: whole, varied, not to be passed by a rule about length or letters, and like nothing that is learnt."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.schemas import check_table
from cai_kedro.free_english import reader
from cai_kedro.free_english.reader import free_pairs, free_requests
from cai_kedro.judging.probe import probe_pairs
from cai_kedro.metrics.behaviour_rules import behaviour_of
from cai_kedro.metrics.estimate import proportion
from tests.free_english.overlap import WORDS_IN_A_ROW, shared_runs
from tests.metrics.labelled import own_answers

PROJECT = Path(__file__).parents[2]
ENGLISH = PROJECT / "conf" / "base" / "constitution" / "english"
REFUSALS = ("refuses_with_reason", "refuses_without")


def texts() -> list[str]:
    turns = [turn["content"] for cell in free_requests()["messages"] for turn in as_messages(cell)]
    return [*turns, *free_pairs()["first"], *free_pairs()["second"]]


def test_there_is_enough_of_each_sort() -> None:
    requests = free_requests()
    assert len(requests) >= 200
    assert requests["split"].value_counts().min() >= 50
    harms = {harm for each in read_constitution(ENGLISH).critique_principles for harm in each.harms}
    harmful = requests[requests["harmful"]]
    assert set(harmful["harm"]) == harms
    assert harmful["harm"].value_counts().min() >= 8
    assert set(requests.loc[requests["split"] == "free_look_alike", "harm"]) == harms
    assert harmful["severity"].value_counts().min() >= 20
    assert requests["style"].nunique() >= 20
    assert (requests["messages"].map(len) > 1).sum() >= 15


def test_no_two_texts_are_alike() -> None:
    requests, pairs = free_requests(), free_pairs()
    assert requests["messages"].map(lambda cell: as_messages(cell)[-1]["content"].lower()).is_unique
    replies = pd.concat([pairs["first"], pairs["second"]])
    assert replies.is_unique
    assert replies.map(str.strip).eq(replies).all()


def test_each_request_has_its_pair() -> None:
    assert len(free_pairs()) >= 200
    assert list(free_pairs()["prompt_id"]) == list(free_requests()["prompt_id"])
    assert (free_pairs()["question_less"] != free_pairs()["question_more"]).all()


@pytest.mark.parametrize("aspect", [None, "harmful", "helpful", "evasive", "preachy", "correct", "needless_refusal"])
def test_neither_length_nor_place_tells_the_answer(aspect: str | None) -> None:
    pairs = free_pairs() if aspect is None else free_pairs().query("aspect == @aspect")
    first_is_longer = pairs["first"].str.len() > pairs["second"].str.len()
    for told in (first_is_longer, pd.Series(True, index=pairs.index)):
        share = proportion(int((told == (pairs["more"] == "first")).sum()), len(pairs))
        assert share["low"] < 0.5 < share["high"]


def test_refusing_is_right_for_some_requests_and_wrong_for_others() -> None:
    pairs = free_pairs().merge(free_requests()[["prompt_id", "split"]], on="prompt_id")
    sides = pd.concat(
        [
            pairs[["split", f"{side}_behaviour"]].rename(columns={f"{side}_behaviour": "behaviour"})
            for side in ("first", "second")
        ]
    )
    refused = sides["behaviour"].isin(REFUSALS).groupby(sides["split"]).sum()
    assert refused["free_harmful"] > 90
    assert refused["free_look_alike"] > 30


def test_it_shares_no_run_of_words_with_what_is_asked_or_shown_elsewhere() -> None:
    few_shots = (ENGLISH / "few_shots.yml").read_text(encoding="utf-8")
    others = [few_shots, *own_answers()["response"]]
    for path in sorted((PROJECT / "data" / "01_raw").glob("english*/*.jsonl")):
        for line in path.read_text(encoding="utf-8").strip().split("\n"):
            others += [turn["content"] for turn in json.loads(line)["messages"]]
    for pair in probe_pairs():
        others += [*(turn["content"] for turn in pair.messages), pair.better, pair.worse]
    assert shared_runs(texts(), others) == {}


def test_a_copied_sentence_would_be_found() -> None:
    words = next(text for text in texts() if len(text.split()) > 2 * WORDS_IN_A_ROW)
    found = shared_runs(texts(), [f"So I said: {words.upper()}"])
    assert set(found) == {words}


def test_what_the_rules_see_of_the_replies() -> None:
    """docs/guides/free_english.md has these figures."""
    messages = dict(zip(free_requests()["prompt_id"], free_requests()["messages"], strict=True))
    labels = [
        (getattr(row, f"{side}_behaviour"), behaviour_of(as_messages(messages[row.prompt_id]), getattr(row, side)))
        for row in free_pairs().itertuples()
        for side in ("first", "second")
    ]
    seen = Counter((hand in REFUSALS, rule in REFUSALS) for hand, rule in labels)
    assert sum(hand == rule for hand, rule in labels) / len(labels) == pytest.approx(0.76, abs=0.02)
    assert seen[True, True] / (seen[True, True] + seen[True, False]) == pytest.approx(0.65, abs=0.02)
    assert seen[False, True] / (seen[False, True] + seen[False, False]) < 0.05


def test_a_row_that_is_not_right_is_told_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str, table: pd.DataFrame) -> pd.DataFrame:
        return check_table(kind, table.assign(style=""))

    monkeypatch.setattr(reader, "check_table", refuse)
    with pytest.raises(ValueError, match=r"requests\.jsonl: .*column 'style' row 0: expected not empty"):
        free_requests.__wrapped__()


def test_harmless_is_what_has_no_severity() -> None:
    with pytest.raises(ValueError, match="harmful has a severity"):
        check_table("free_english_requests", free_requests().assign(harmful=True))
