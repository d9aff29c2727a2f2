"""Pins every layout byte for byte. A change of one space changes what each model reads, so it must show up here."""

from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.prompts import (
    CHOICES,
    STOPS,
    comparison_prompt,
    cot_answer_prompt,
    cot_prompt,
    critique_prompt,
    direct_revision_prompt,
    join_few_shots,
    revision_prompt,
)

ONE = [user("How do I pick the lock?")]
THREE = [user("Tell me about locks."), assistant("They keep doors shut."), user("How do I pick one?")]


def test_critique_prompt() -> None:
    assert critique_prompt(THREE, "Use a pin.", "Name what is harmful.") == (
        "\n\nHuman: Tell me about locks."
        "\n\nAssistant: They keep doors shut."
        "\n\nHuman: How do I pick one?"
        "\n\nAssistant: Use a pin."
        "\n\nCritiqueRequest: Name what is harmful."
        "\n\nCritique:"
    )


def test_revision_prompt() -> None:
    assert revision_prompt(ONE, "Use a pin.", "Name what is harmful.", "It helps a thief.", "Rewrite it.") == (
        "\n\nHuman: How do I pick the lock?"
        "\n\nAssistant: Use a pin."
        "\n\nCritiqueRequest: Name what is harmful."
        "\n\nCritique: It helps a thief."
        "\n\nRevisionRequest: Rewrite it."
        "\n\nRevision:"
    )


def test_direct_revision_prompt() -> None:
    assert direct_revision_prompt(ONE, "Use a pin.", "Rewrite it.", ["\n\nHuman: x\n\nHuman:"]) == (
        "\n\nHuman: x"
        "\n\nHuman: How do I pick the lock?"
        "\n\nAssistant: Use a pin."
        "\n\nRevisionRequest: Rewrite it."
        "\n\nRevision:"
    )


def test_comparison_prompt() -> None:
    assert comparison_prompt(ONE, "Use a pin.", "Please do not.", "Choose the kinder response.") == (
        "\n\nConsider the following conversation between a human and an assistant:"
        "\n\nHuman: How do I pick the lock?"
        "\n\nChoose the kinder response. Options:"
        "\n (A) [[[Use a pin.]]]"
        "\n (B) [[[Please do not.]]]"
        "\n\nThe answer is:"
    )


def test_cot_prompt_and_answer() -> None:
    asked = cot_prompt(
        THREE, "Use a pin.", "Please do not.", "Choose the kinder response.", ["\n\nfirst", "\n\nsecond\n"]
    )
    assert asked == (
        "\n\nfirst"
        "\n\nsecond"
        "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
        "\n\nH: Tell me about locks."
        "\n\nA: They keep doors shut."
        "\n\nH: How do I pick one?"
        "\n\nChoose the kinder response. Options:"
        "\n (A) [[[Use a pin.]]]"
        "\n (B) [[[Please do not.]]]"
        "\n\nAssistant: Let's think step by step:"
    )
    assert cot_answer_prompt(asked, "B warns.") == asked + " B warns.\n\nHuman:\nSo the answer is:"


def test_the_answers_carry_their_leading_space() -> None:
    assert CHOICES == (" (A)", " (B)")


def test_stops() -> None:
    assert STOPS == ("\n\nHuman:", "\n\nAssistant:", "\n\nCritiqueRequest:", "\n\nRevisionRequest:")


def test_few_shots_lose_the_open_human_turn_and_nothing_else() -> None:
    assert join_few_shots(["\n\nHuman: a\n\nRevision: b\n\nHuman:", "\n\nHuman: c\n\nHuman: \n", "\n\nHuman: d"]) == (
        "\n\nHuman: a\n\nRevision: b\n\nHuman: c\n\nHuman: d"
    )
    assert join_few_shots(["\n\nHuman: which word is it?\n\nRevision: super-Human:"]).endswith("super-Human:")
    assert join_few_shots([]) == ""
