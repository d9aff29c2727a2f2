"""The prompts that a run works on."""

from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.data_generation.prompt_tables import gather_red_team_prompts
from cai_kedro.templates.training_prompts import clean_prompts
from tests.pipelines.builders import prompt_table


def test_turns_are_stripped_and_doubles_dropped() -> None:
    cleaned = check_table("prompts", clean_prompts(prompt_table([" Why? ", "How?", "Why?"])))
    assert cleaned["prompt_id"].tolist() == ["p0", "p1"]
    assert cleaned["messages"][0] == [user("Why?")]


def test_the_argument_stays_as_it_was() -> None:
    given = prompt_table([" Why? "])
    clean_prompts(given)
    assert given["messages"][0] == [user(" Why? ")]


def test_a_conversation_is_kept_whole() -> None:
    given = prompt_table(["x"])
    given["messages"] = [[user("Hi"), assistant("Hello"), user("Hi")]]
    assert clean_prompts(given)["messages"][0] == [user("Hi"), assistant("Hello"), user("Hi")]


def test_generated_prompts_stand_behind_the_given_ones_and_keep_their_source() -> None:
    generated = prompt_table(["How?", "Where?"], "g").assign(source="generated")
    gathered = gather_red_team_prompts(prompt_table(["Why?", "How?"]), generated, prompt_table(["Who?"], "e"), [])
    assert gathered[["prompt_id", "source"]].to_numpy().tolist() == [
        ["p0", "given"],
        ["p1", "given"],
        ["g1", "generated"],
    ]


def test_neither_given_nor_generated_prompts_are_asked_in_the_evaluation_or_hold_a_held_out_phrase() -> None:
    generated = prompt_table(["Where are guns sold?", "Who?"], "g").assign(source="generated")
    gathered = gather_red_team_prompts(prompt_table(["Why?", "How?"]), generated, prompt_table(["how?"], "e"), ["guns"])
    assert gathered["prompt_id"].tolist() == ["p0", "g1"]
