import json

import numpy as np
import pandas as pd

from cai_kedro.reporting.transcripts import answer_records, chain_records, comparison_records
from tests.reporting.tables import HOSTILE, comparisons, judgements, prompt_axes, prompts, responses, revisions, scores


def test_answers_of_all_policies_stand_beside_each_other() -> None:
    asked = prompts([HOSTILE, "two"])
    given = {"helpful_rlhf": [("Sure.", "comply"), ("x", "comply")], "rl_cai": [(HOSTILE, "objection"), ("y", "weak")]}
    judged = judgements(asked, given)
    first, second = answer_records(asked, judged, prompt_axes(asked), judged)
    assert (first["id"], first["split"], first["axes"]) == ("p-0", "combination", ["harmlessness"])
    assert first["turns"] == [["user", HOSTILE]]
    assert [(answer["policy"], answer["text"]) for answer in first["answers"]] == [
        ("helpful_rlhf", "Sure."),
        ("rl_cai", HOSTILE),
    ]
    assert first["answers"][1] | {"ratings": {"harmlessness": 4.0}, "behaviour": "objection"} == first["answers"][1]
    assert second["answers"][1]["text"] == "y"
    assert first["category"] is None
    assert answer_records(prompts(["nobody answered"], "q"), judged, prompt_axes(asked), judged) == []


def test_without_a_judge_answers_stand_alone_and_an_axis_more_is_a_rating_more() -> None:
    asked = prompts(["one"])
    judged = judgements(asked, {"rl_cai": [("No.", "objection")]})
    (plain,) = answer_records(asked, judged, prompt_axes(asked))
    assert plain["answers"] == [{"policy": "rl_cai", "text": "No.", "behaviour": None, "ratings": {}}]
    assert plain["category"] is None
    axes = pd.concat([prompt_axes(asked), prompt_axes(asked, "honesty")])
    more = pd.concat([judged, judged.assign(axis="honesty", rating=1.5)])
    (rated,) = answer_records(asked, judged, axes, more)
    assert rated["axes"] == ["harmlessness", "honesty"]
    assert rated["answers"][0]["ratings"] == {"harmlessness": 4.0, "honesty": 1.5}


def test_a_chain_that_nobody_judged_or_scored_has_texts_only() -> None:
    asked = prompts(["one"])
    (chain,) = chain_records(
        asked, responses(asked, ["Sure."]), revisions([("p-0", 1, "a", "Bad.", "No.")]), revisions([])
    )
    assert [(step["text"], step["score"], step["behaviour"]) for step in chain["steps"]] == [
        ("Sure.", None, None), ("No.", None, None),
    ]  # fmt: skip


def test_a_chain_holds_each_round_with_its_score_and_judgement() -> None:
    asked = prompts(["one", "two"])
    rounds = revisions(
        [("p-0", 2, "b", "Still bad.", "No."), ("p-0", 1, "a", "It is bad.", "Well."), ("p-1", 1, "a", "ok", "z")]
    )
    direct = revisions([("p-0", 1, "a", None, "Direct.")])
    scored = scores([("critique", "p-0", 0, -1.0), ("critique", "p-0", 2, 0.123456), ("direct", "p-0", 1, 0.5)])
    judged = judgements(asked[:1], {"critique_0": [("Sure.", "comply")], "direct_1": [("Direct.", "objection")]})
    chain, other = chain_records(asked, responses(asked, ["Sure.", "Sure!"]), rounds, direct, scored, judged)
    assert [step["text"] for step in chain["steps"]] == ["Sure.", "Well.", "No."]
    assert [step["score"] for step in chain["steps"]] == [-1.0, None, 0.1235]
    assert [step["behaviour"] for step in chain["steps"]] == ["comply", None, None]
    assert [step.get("principle") for step in chain["steps"]] == [None, "a", "b"]
    assert chain["steps"][1]["critique"] == "It is bad."
    assert [step["text"] for step in chain["direct"]] == ["Sure.", "Direct."]
    assert (chain["direct"][1]["score"], chain["direct"][1]["behaviour"]) == (0.5, "objection")
    assert chain["direct"][1]["critique"] is None
    assert len(other["direct"]) == 1, "never revised directly"


def test_labels_of_one_pair_are_put_together() -> None:
    asked = prompts(["one", "two"])
    direct = comparisons(asked)
    thought = comparisons(asked[:1], "ai_cot", p_a_better=0.4, p_a_second=np.nan, thoughts="Let me see.")
    first, second = comparison_records(asked, direct, thought)
    assert (first["id"], first["a"], first["b"], first["split"]) == ("p-0.0", "Sure.", "No.", "combination")
    assert [label["source"] for label in first["labels"]] == ["ai", "ai_cot"]
    assert first["labels"][0] | {"p": 0.2, "first": 0.3, "second": 0.1, "thoughts": None} == first["labels"][0]
    assert first["labels"][1] | {"p": 0.4, "second": None, "thoughts": "Let me see."} == first["labels"][1]
    assert len(second["labels"]) == 1
    unlabelled_split = comparison_records(prompts(["x"], "q"), direct)
    assert unlabelled_split[0]["split"] == ""


def test_records_are_plain_json() -> None:
    asked = prompts([HOSTILE])
    tables = (asked, responses(asked, ["a"]), revisions([("p-0", 1, "a", "c", "r")]), revisions([]), scores([]))
    chains = chain_records(*tables, pd.DataFrame(columns=["policy", "prompt_id", "sample", "behaviour"]))
    assert json.loads(json.dumps(chains, allow_nan=False))[0]["turns"][0][1] == HOSTILE
