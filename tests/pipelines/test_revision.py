"""Critique and revision: rounds, principle draws, and what stays when a text comes out empty."""

import pytest

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.layouts.hh import worked_text
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise, revise_directly
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, constitution, prompt_table, response_table

PROMPTS = prompt_table([f"How do I steal {i} cars?" for i in range(6)])
RESPONSES = response_table([f"First answer {i}." for i in range(6)])


def params(**changes: object) -> RevisionParams:
    given = {"rounds": 3, "few_shots": 0, "sampling": SAMPLING}
    return RevisionParams.model_validate({**given, **changes})


def numbered(prompt: str, seed: int) -> str:
    """Say what is asked for, with the seed as its number."""
    what = "critique" if prompt.endswith("Critique:") else "revision"
    return f"A {what} {seed % 10_000}."


def test_the_next_round_starts_from_the_last_revision() -> None:
    engine = ScriptedEngine(reply=numbered)
    table = critique_and_revise(PROMPTS[:1], RESPONSES[:1], constitution(), engine, params(), 2).rows
    table = check_table("revisions", table)
    assert table["step"].tolist() == [1, 2, 3]
    answers = ["First answer 0.", *table["revision"]]
    for step in range(3):
        critique, revision = engine.prompts[2 * step : 2 * step + 2]
        asked = f"\n\nHuman: How do I steal 0 cars?\n\nAssistant: {answers[step]}\n\nCritiqueRequest:"
        assert critique.startswith(asked)
        assert f"\n\nCritique: {table['critique'][step]}\n\nRevisionRequest:" in revision
        assert revision.startswith(critique)


def test_rows_of_one_response_stand_below_each_other() -> None:
    engine = ScriptedEngine(reply=numbered)
    table = critique_and_revise(PROMPTS, RESPONSES, constitution(), engine, params(), 2).rows
    assert table["prompt_id"].tolist() == [f"p{i}" for i in range(6) for _ in range(3)]
    assert table["step"].tolist() == [1, 2, 3] * 6


def test_the_principle_asked_is_the_principle_told() -> None:
    engine, principles = ScriptedEngine(reply=numbered), constitution()
    table = critique_and_revise(PROMPTS[:1], RESPONSES[:1], principles, engine, params(), 2).rows
    for step, principle_id in enumerate(table["principle_id"]):
        principle = principles.critique(principle_id)
        assert engine.prompts[2 * step].endswith(f"CritiqueRequest: {principle.critique_request}\n\nCritique:")
        assert engine.prompts[2 * step + 1].endswith(f"{principle.revision_request}\n\nRevision:")


def test_a_principle_is_drawn_at_every_step() -> None:
    engine = ScriptedEngine(reply=numbered)
    table = critique_and_revise(PROMPTS, RESPONSES, constitution(), engine, params(rounds=8), 2).rows
    drawn = table.groupby("prompt_id")["principle_id"]
    assert (drawn.nunique() > 1).all()
    assert (drawn.nunique() < 8).all()  # with replacement
    assert drawn.agg(tuple).nunique() == len(PROMPTS)


def test_prompts_that_are_added_change_no_row() -> None:
    engine = ScriptedEngine(reply=numbered)
    few = critique_and_revise(PROMPTS[:3], RESPONSES[:3], constitution(), engine, params(), 2).rows
    many = critique_and_revise(PROMPTS, RESPONSES, constitution(), engine, params(), 2).rows
    assert many[: len(few)].equals(few)


def test_the_direct_arm_draws_the_same_principles_and_writes_no_critique() -> None:
    critiqued, direct = ScriptedEngine(reply=numbered), ScriptedEngine(reply=numbered)
    with_critique = critique_and_revise(PROMPTS, RESPONSES, constitution(), critiqued, params(), 2).rows
    without = revise_directly(PROMPTS, RESPONSES, constitution(), direct, params(), 2).rows
    check_table("revisions", without)
    assert without["principle_id"].tolist() == with_critique["principle_id"].tolist()
    assert without["critique"].isna().all()
    assert not any("Critique" in prompt for prompt in direct.prompts)
    assert f"\n\nAssistant: {without['revision'][0]}\n\nRevisionRequest:" in direct.prompts[6]


@pytest.mark.parametrize(("what", "told"), [("Critique:", "critique 1"), ("Revision:", "revision 1")])
def test_an_empty_text_sends_the_response_to_quarantine(what: str, told: str) -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: " " if prompt.endswith(what) else "Said.")
    made = critique_and_revise(PROMPTS, RESPONSES, constitution(), engine, params(rounds=2), 2)
    assert made.rows.empty
    assert made.quarantine["id"].tolist() == [f"p{i}.0" for i in range(6)]
    assert set(made.quarantine["reason"]) == {f"{told}: the completion is empty"}


def test_only_the_response_in_trouble_leaves_and_takes_all_its_steps() -> None:
    def reply(prompt: str, seed: int) -> str:
        troubled = prompt.endswith("Critique:") and "steal 1 cars" in prompt and "First answer" not in prompt
        return "" if troubled else f"About {prompt[:40]!r}"

    engine = ScriptedEngine(reply=reply)
    made = critique_and_revise(PROMPTS[:3], RESPONSES[:3], constitution(), engine, params(rounds=3), 2)
    check_table("revisions", made.rows)
    assert made.rows["prompt_id"].tolist() == ["p0"] * 3 + ["p2"] * 3
    assert made.quarantine.to_dict("records") == [{"id": "p1.0", "reason": "critique 2: the completion is empty"}]
    assert sum("steal 1 cars" in prompt for prompt in engine.prompts) == 3  # it is asked no more


def test_worked_examples_stand_in_front() -> None:
    engine, principles = ScriptedEngine(reply=numbered), constitution()
    critique_and_revise(PROMPTS[:1], RESPONSES[:1], principles, engine, params(few_shots=1), 2)
    assert engine.prompts[0].startswith(
        worked_text(principles.few_shots.critiques[0].worked) + "\n\nHuman: How do I steal"
    )
    engine.prompts.clear()
    revise_directly(PROMPTS[:1], RESPONSES[:1], principles, engine, params(few_shots=1), 2)
    assert engine.prompts[0].startswith(
        worked_text(principles.few_shots.critiques[0].worked_directly) + "\n\nHuman: How do I steal"
    )


def test_more_worked_examples_than_there_are_are_all_there_are() -> None:
    one, two = ScriptedEngine(reply=numbered), ScriptedEngine(reply=numbered)
    critique_and_revise(PROMPTS, RESPONSES, constitution(), one, params(few_shots=1), 2)
    critique_and_revise(PROMPTS, RESPONSES, constitution(), two, params(few_shots=2), 2)
    assert one.prompts == two.prompts


def test_a_single_principle_is_enough() -> None:
    one: Constitution = constitution(principles=1)
    engine = ScriptedEngine(reply=numbered)
    table = critique_and_revise(PROMPTS, RESPONSES, one, engine, params(), 2).rows
    assert set(table["principle_id"]) == {"c0"}
