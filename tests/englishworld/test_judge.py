"""The judge, the referee and the raters of the English world."""

import random

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.conversation import user
from cai_kedro.core.judging import ConversationRaters, ObjectionReader, PairJudge
from cai_kedro.core.rating_table import RatingTable
from cai_kedro.datasets.judge_dataset import JudgeDataset
from cai_kedro.englishworld.deeds import Deed, draw_deed
from cai_kedro.englishworld.judge import LOOK_ALIKE, UNKNOWN, EnglishWorldJudge
from cai_kedro.englishworld.judge_table import judge_table
from cai_kedro.englishworld.replies import BENIGN_BEHAVIOURS, HARMFUL_BEHAVIOURS, reply
from cai_kedro.englishworld.requests import Request, ask

#: Who changes a number of the table has another judge.
DIGEST = "0fb3a78286801371c3636980c4c4e0ac582cf95580653bc6d27bfcf13c04aa82"


@pytest.fixture
def judge() -> EnglishWorldJudge:
    return EnglishWorldJudge(sharpness=2.0)


def asked(seed: int = 0, *, harmful: bool = True, group: str = "harmful") -> tuple[Request, Deed]:
    rng = random.Random(seed)
    request = ask(draw_deed("train", rng, harmful=harmful, groups=(group,)), rng)
    return request, request.deed


def test_the_table_is_frozen_and_complete() -> None:
    assert EnglishWorldJudge(2.0).provenance()["table.sha256"] == DIGEST
    table = judge_table()
    assert set(table.harmlessness.harmful) == set(HARMFUL_BEHAVIOURS)
    assert set(table.harmlessness.benign) == set(BENIGN_BEHAVIOURS)
    for severity in (1, 2, 3, 4):
        rated = {name: table.rating("harmlessness", name, severity) for name in HARMFUL_BEHAVIOURS}
        assert max(rated, key=rated.__getitem__) == "objection"
        assert rated["comply"] == min(rated.values()) or severity == 1


def test_faulty_tables_and_questions_are_told() -> None:
    with pytest.raises(ValueError, match="behaves as 'objection'; it has right"):
        judge_table().rating("harmlessness", "objection", 0)
    told = judge_table().model_dump()
    del told["helpfulness"]["benign"]["right"]
    with pytest.raises(ValueError, match="benign: right is rated on one axis only"):
        RatingTable.model_validate(told)
    with pytest.raises(ValueError, match="sharpness must be above 0"):
        EnglishWorldJudge(0)


def test_it_says_what_an_answer_does(judge: EnglishWorldJudge) -> None:
    request, deed = asked()
    said = judge.judge(request.messages, reply("comply", deed, random.Random(1)).text)
    assert (said.behaviour, said.category) == ("comply", deed.harm)
    assert said.rating("harmlessness") == judge_table().rating("harmlessness", "comply", deed.severity)
    like, harmless = asked(harmful=False, group="look_alike")
    assert judge.judge(like.messages, reply("right", harmless, random.Random(1)).text).category == LOOK_ALIKE


def test_what_it_cannot_read_is_unknown_and_not_rated(judge: EnglishWorldJudge) -> None:
    request, deed = asked()
    for messages, answer in (([user("Hello?")], "I don't know."), (request.messages, "Well, why not.")):
        said = judge.judge(messages, answer)
        assert said.behaviour == UNKNOWN
        assert np.isnan(said.rating("harmlessness"))
        right = reply("objection", deed, random.Random(1)).text
        assert np.isnan(judge.prefer(messages, answer, right, "harmlessness", random.Random(0)))
    assert judge.judge(request.messages, "Well, why not.").category == deed.harm


def test_it_prefers_an_objection_and_finds_equal_answers_equal(judge: EnglishWorldJudge) -> None:
    request, deed = asked()
    good, bad = (reply(name, deed, random.Random(1)).text for name in ("objection", "comply"))
    wins = [judge.prefer(request.messages, good, bad, "harmlessness", random.Random(i)) for i in range(100)]
    assert np.mean(wins) > 0.9
    assert judge.prefer(request.messages, good, good, "harmlessness", random.Random(0)) == 0.5
    helps = [judge.prefer(request.messages, good, bad, "helpfulness", random.Random(i)) for i in range(100)]
    assert np.mean(helps) < 0.1
    assert np.isnan(judge.prefer(request.messages, good, bad, "honesty", random.Random(0)))


def test_it_reads_objections(judge: EnglishWorldJudge) -> None:
    request, deed = asked()
    right = judge.objection(request.messages, reply("objection", deed, random.Random(1)).text)
    assert right is not None
    assert (right.to_the_act, right.harm) == (True, deed.harm)
    assert judge.objection(request.messages, reply("comply", deed, random.Random(1)).text) is None
    for seed in range(40):
        weak = judge.objection(request.messages, reply("weak", deed, random.Random(seed)).text)
        assert weak is not None
        assert not weak.to_the_act or weak.harm != deed.harm


def test_raters_label_pairs_and_rate_answers(judge: EnglishWorldJudge, caplog: pytest.LogCaptureFixture) -> None:
    request, deed = asked()
    texts = {name: reply(name, deed, random.Random(1)).text for name in ("objection", "comply")}
    base = {"prompt_id": "p", "messages": list(request.messages), "policy": "x", "kind": "sampled"}
    pairs = pd.DataFrame(
        [
            {**base, "pair_id": f"q{i}", "response_a": texts["objection"], "response_b": texts["comply"]}
            for i in range(50)
        ]
        + [{**base, "pair_id": "unknown", "response_a": "Eh?", "response_b": texts["comply"]}]
    )
    table = judge.compare(pairs, "harmlessness", 0)
    assert len(table) == 50
    assert table["p_a_better"].mean() > 0.8
    assert set(table["source"]) == {"human"}
    pd.testing.assert_frame_equal(
        judge.compare(pairs.tail(20), "harmlessness", 0), table.tail(19).reset_index(drop=True)
    )
    answers = pd.DataFrame(
        [{"prompt_id": "p", "messages": list(request.messages), "response": text} for text in (*texts.values(), "Eh?")]
    )
    rated = judge.rate(answers, 0)
    assert len(rated) == 2
    assert rated["rating"].between(0, 4).all()
    assert rated["rating"].iloc[0] < rated["rating"].iloc[1]
    told = [message for message in caplog.messages if "left out" in message]
    assert [message.split(" are")[0] for message in told] == ["1 of 51 pairs", "1 of 20 pairs", "1 of 3 answers"]


def test_the_catalog_can_build_it(judge: EnglishWorldJudge) -> None:
    entry = JudgeDataset(kind="cai_kedro.englishworld.judge.EnglishWorldJudge", sharpness=2.0)
    assert isinstance(entry.load(), EnglishWorldJudge)
    assert isinstance(judge, PairJudge)
    assert isinstance(judge, ObjectionReader)
    assert isinstance(judge, ConversationRaters)
