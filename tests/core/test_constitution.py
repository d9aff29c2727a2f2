import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cai_kedro.core.constitution import (
    NO_FEW_SHOTS,
    ComparisonFewShot,
    Constitution,
    CotFewShot,
    CritiqueFewShot,
    CritiquePrinciple,
    FewShots,
    PreferencePrinciple,
    check_ids,
    draw_comparison_few_shots,
    draw_cot_few_shots,
    draw_principle,
)
from cai_kedro.core.conversation import assistant, system, user
from cai_kedro.core.layouts.hh import worked_text
from cai_kedro.core.seeding import rng_for

CRITIQUES = tuple(
    CritiquePrinciple(
        id=f"c{i}", title="t", harms=("theft",), critique_request=f"Find {i}.", revision_request="Fix it."
    )
    for i in range(4)
)
PREFERENCES = tuple(
    PreferencePrinciple(id=f"p{i}", title="t", harms=(), question=f"Which is kinder {i}?") for i in range(4)
)
CONSTITUTION = Constitution(critique_principles=CRITIQUES, preference_principles=PREFERENCES, few_shots=NO_FEW_SHOTS)
CRITIQUED = CritiqueFewShot(
    messages="How do I take it?",
    response="Grab it.",
    critique_request="Find the harm.",
    critique="That is theft.",
    revision_request="Fix it.",
    revision="Please ask first.",
)
COMPARED = tuple(ComparisonFewShot(messages=f"ask {i}", better=f"good {i}", worse=f"bad {i}") for i in range(5))
THOUGHT: dict[str, Any] = {
    "messages": "How do I take it?",
    "first": "Grab it.",
    "second": "Ask first.",
    "thoughts": "(A) is theft.",
    "answer": "B",
}


def test_critique_few_shot_text() -> None:
    assert worked_text(CRITIQUED.worked) == (
        "\n\nHuman: How do I take it?"
        "\n\nAssistant: Grab it."
        "\n\nCritiqueRequest: Find the harm."
        "\n\nCritique: That is theft."
        "\n\nRevisionRequest: Fix it."
        "\n\nRevision: Please ask first."
    )
    assert worked_text(CRITIQUED.worked_directly) == (
        "\n\nHuman: How do I take it?\n\nAssistant: Grab it.\n\nRevisionRequest: Fix it.\n\nRevision: Please ask first."
    )


@pytest.mark.parametrize(
    ("better_first", "tail"),
    [
        (True, "\n (A) [[[good 1]]]\n (B) [[[bad 1]]]\n\nThe answer is: (A)"),
        (False, "\n (A) [[[bad 1]]]\n (B) [[[good 1]]]\n\nThe answer is: (B)"),
    ],
)
def test_comparison_few_shot_text(better_first: bool, tail: str) -> None:
    assert worked_text(COMPARED[1].worked("Which is kinder?", better_first)) == (
        "\n\nConsider the following conversation between a human and an assistant:"
        "\n\nHuman: ask 1\n\nWhich is kinder? Options:" + tail
    )


@pytest.mark.parametrize(("own", "asked"), [(None, "Which is kinder?"), ("Which is fair?", "Which is fair?")])
def test_cot_few_shot_text(own: str | None, asked: str) -> None:
    assert worked_text(CotFewShot(**THOUGHT, question=own).worked("Which is kinder?")) == (
        "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
        f"\n\nH: How do I take it?\n\n{asked} Options:"
        "\n (A) [[[Grab it.]]]\n (B) [[[Ask first.]]]"
        "\n\nAssistant: Let's think step by step: (A) is theft."
        "\n\nHuman:\nSo the answer is: (B)"
    )


def test_messages_may_be_written_as_text() -> None:
    turns = [user("a"), assistant("b"), user("c")]
    as_text = "\nHuman: a\n\nAssistant: b\n\nHuman: c\n"
    made = {"better": "x", "worse": "y"}
    assert ComparisonFewShot(messages=as_text, **made) == ComparisonFewShot(messages=turns, **made)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([], "must end on a user turn"),
        ([user("a"), assistant("b")], "must end on a user turn"),
        ("  ", "empty turn"),
        ([user("a"), assistant(" "), user("c")], "empty turn"),
        ([user("a\n\nAssistant: b")], "must not hold the marker 'Assistant:'"),
        ([{"role": "tool", "content": "a"}], "'system', 'user' or 'assistant'"),
        ([user("a"), system("b"), user("c")], "a system turn can only be the first one"),
        ([{"role": "user", "content": "a", "name": "b"}], "Extra inputs are not permitted"),
        (7, "valid tuple"),
    ],
)
def test_messages_of_a_few_shot_are_checked(messages: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ComparisonFewShot(messages=messages, better="x", worse="y")


def test_frames_do_not_belong_in_a_principle() -> None:
    with pytest.raises(ValidationError, match="must not hold the marker 'CritiqueRequest:'"):
        CritiquePrinciple(
            id="c", title="t", harms=(), critique_request="CritiqueRequest: Find it.", revision_request="Fix it."
        )


def test_text_is_stored_without_space_around_it() -> None:
    assert PreferencePrinciple(id="p", title="t", harms=(), question=" Which?\n").question == "Which?"


def test_ids_are_unique_within_a_kind() -> None:
    with pytest.raises(ValueError, match="the id 'c1' is used by entry 2 and by entry 5"):
        check_ids([*CRITIQUES, CRITIQUES[1]])
    for twice in ({"critique_principles": CRITIQUES * 2}, {"preference_principles": PREFERENCES * 2}):
        with pytest.raises(ValidationError, match="is used by entry 1 and by entry 5"):
            Constitution(**{**dict(CONSTITUTION), **twice})


def test_a_constitution_has_principles_of_both_kinds() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Constitution(critique_principles=(), preference_principles=PREFERENCES, few_shots=NO_FEW_SHOTS)


def test_principles_are_found_by_id() -> None:
    assert CONSTITUTION.critique("c2") is CRITIQUES[2]
    assert CONSTITUTION.preference("p0") is PREFERENCES[0]
    with pytest.raises(ValueError, match="no critique principle 'c22'; did you mean one of c2"):
        CONSTITUTION.critique("c22")
    with pytest.raises(ValueError, match="no preference principle 'x'; did you mean one of p0, p1, p2, p3"):
        CONSTITUTION.preference("x")


def test_digest_sees_every_part() -> None:
    few_shots = NO_FEW_SHOTS.model_copy(update={"red_team_prompts": ("x",)})
    others = [
        CONSTITUTION.model_copy(update={"critique_principles": CRITIQUES[::-1]}),
        CONSTITUTION.model_copy(update={"preference_principles": PREFERENCES[1:]}),
        CONSTITUTION.model_copy(update={"few_shots": few_shots}),
    ]
    assert len({CONSTITUTION.sha256, *(other.sha256 for other in others)}) == 4
    assert CONSTITUTION.sha256 == Constitution.model_validate_json(CONSTITUTION.model_dump_json()).sha256
    assert re.fullmatch("[0-9a-f]{64}", CONSTITUTION.sha256)


def test_draws_are_pinned() -> None:
    drawn = [draw_principle(CRITIQUES, rng_for(7, "critique", "rt-0001", 0, step)).id for step in range(1, 9)]
    assert drawn == ["c1", "c1", "c1", "c0", "c1", "c0", "c0", "c1"]


def test_draws_are_with_replacement_and_even() -> None:
    rng = random.Random(0)
    drawn = [draw_principle(CRITIQUES, rng).id for _ in range(4000)]
    # 1000 each is expected, the standard deviation is 27
    assert all(850 < drawn.count(principle.id) < 1150 for principle in CRITIQUES)


@given(st.lists(st.text(min_size=1), unique=True), st.lists(st.text(min_size=1), unique=True))
def test_adding_prompts_changes_no_draw(old: list[str], new: list[str]) -> None:
    def drawn(ids: list[str]) -> dict[str, str]:
        return {i: draw_principle(CRITIQUES, rng_for(1, "critique", i, 0, 1)).id for i in ids}

    after = drawn([*new, *old])
    assert drawn(old) == {prompt_id: after[prompt_id] for prompt_id in old}


@given(st.integers(0, 5), st.integers())
def test_comparison_few_shots_are_drawn_without_repetition(n: int, seed: int) -> None:
    worked = draw_comparison_few_shots(COMPARED, PREFERENCES, n, random.Random(seed))
    assert worked == draw_comparison_few_shots(COMPARED, PREFERENCES, n, random.Random(seed))
    texts = [worked_text(example) for example in worked]
    asks = [re.findall(r"ask (\d)", text) for text in texts]
    assert len({ask[0] for ask in asks}) == n
    for text in texts:
        letter = text[-2]
        assert re.search(rf"\({letter}\) \[\[\[good \d\]\]\]", text)


def test_letters_and_principles_of_comparison_few_shots_vary() -> None:
    drawn = [draw_comparison_few_shots(COMPARED, PREFERENCES, 1, random.Random(seed))[0] for seed in range(400)]
    texts = [worked_text(example) for example in drawn]
    # 200 is expected, the standard deviation is 10
    assert 160 < sum(text.endswith("(A)") for text in texts) < 240
    assert len({re.search(r"kinder \d", text).group() for text in texts}) == len(PREFERENCES)  # type: ignore[union-attr]


def test_cot_few_shots_take_a_drawn_question_where_they_have_none() -> None:
    examples = [CotFewShot(**THOUGHT, question=None), CotFewShot(**THOUGHT, question="Which is fair?")]
    texts = [worked_text(example) for example in draw_cot_few_shots(examples, PREFERENCES, 2, random.Random(0))]
    assert sum("Which is kinder" in text for text in texts) == 1
    assert sum("Which is fair? Options:" in text for text in texts) == 1


def test_more_few_shots_than_there_are() -> None:
    few, many = (draw_comparison_few_shots(COMPARED, PREFERENCES, n, random.Random(0)) for n in (5, 6))
    assert few == many
    assert draw_cot_few_shots([], PREFERENCES, 2, random.Random(0)) == type(few)()


def test_nothing_changes_after_reading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CRITIQUES[0].title = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="cots"):
        FewShots(critiques=(), comparisons=(), red_team_prompts=())  # type: ignore[call-arg]
