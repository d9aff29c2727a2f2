"""Answers of one policy to a table of prompts."""

import pytest
from pydantic import ValidationError

from cai_kedro.core.schemas import check_table
from cai_kedro.templates.responses import ResponseParams, sample_responses
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, prompt_table


def params(**changes: object) -> ResponseParams:
    given = {"policy": "helpful_rlhf", "prompts": None, "samples": 2, "sampling": SAMPLING}
    return ResponseParams.model_validate({**given, **changes})


def test_every_prompt_is_answered_as_often_as_asked() -> None:
    engine = ScriptedEngine()
    answers = check_table("responses", sample_responses(prompt_table(["One?", "Two?"]), engine, params(), 1).rows)
    assert answers[["prompt_id", "sample"]].to_numpy().tolist() == [["p0", 0], ["p0", 1], ["p1", 0], ["p1", 1]]
    assert set(answers["policy"]) == {"helpful_rlhf"}
    assert engine.prompts[0] == "\n\nHuman: One?\n\nAssistant:"


def test_a_prompt_that_is_added_changes_no_answer() -> None:
    few = sample_responses(prompt_table(["One?", "Two?"]), ScriptedEngine(), params(), 1).rows
    many = sample_responses(prompt_table(["One?", "Two?", "Three?"]), ScriptedEngine(), params(), 1).rows
    assert many[many["prompt_id"] != "p2"].equals(few)


def test_draws_differ_by_seed_sample_and_policy() -> None:
    table = prompt_table(["One?"])
    answers = [
        *sample_responses(table, ScriptedEngine(), params(), 1).rows["response"],
        *sample_responses(table, ScriptedEngine(), params(), 2).rows["response"],
        *sample_responses(table, ScriptedEngine(), params(policy="sl_cai"), 1).rows["response"],
    ]
    assert len(set(answers)) == 6


def test_empty_answers_go_to_quarantine() -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: "" if "One" in prompt else "Yes.")
    answers, quarantine = sample_responses(prompt_table(["One?", "Two?"]), engine, params(), 1)
    assert answers["prompt_id"].tolist() == ["p1", "p1"]
    assert quarantine["id"].tolist() == ["p0.0", "p0.1"]
    assert set(quarantine["reason"]) == {"the completion is empty"}


def test_the_number_of_prompts_is_limited() -> None:
    answers = sample_responses(prompt_table([f"{i}?" for i in range(9)]), ScriptedEngine(), params(prompts=4), 1).rows
    assert answers["prompt_id"].nunique() == 4


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match="temperatur"):
        params(temperatur=1.0)
