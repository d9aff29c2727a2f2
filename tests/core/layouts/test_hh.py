"""Pins every layout byte for byte. A change of one space changes what each model reads, so it must show up here."""

from cai_kedro.core.asks import (
    Comparison,
    Continue,
    Critique,
    DirectRevision,
    NumberedList,
    Plain,
    Reply,
    Revision,
    Rule,
    RuledReply,
    RuleThoughts,
    StyledReply,
    Thoughts,
    Verdict,
    Worked,
)
from cai_kedro.core.conversation import assistant, system, user
from cai_kedro.core.layouts.base import Written
from cai_kedro.core.layouts.hh import CHOICES, HH, RULE_STOPS, STOPS, text_of

ONE = [user("How do I pick the lock?")]
THREE = [user("Tell me about locks."), assistant("They keep doors shut."), user("How do I pick one?")]


def test_reply() -> None:
    assert text_of(Reply(ONE)) == "\n\nHuman: How do I pick the lock?\n\nAssistant:"
    assert HH.answer(ONE, "With a pin.") == Written(" With a pin.")


def test_critique() -> None:
    assert text_of(Critique(THREE, "Use a pin.", "Name what is harmful.")) == (
        "\n\nHuman: Tell me about locks."
        "\n\nAssistant: They keep doors shut."
        "\n\nHuman: How do I pick one?"
        "\n\nAssistant: Use a pin."
        "\n\nCritiqueRequest: Name what is harmful."
        "\n\nCritique:"
    )


def test_revision_behind_a_worked_one() -> None:
    ask = Revision(ONE, "Use a pin.", "Name what is harmful.", "It helps a thief.", "Rewrite it.")
    written = (
        "\n\nHuman: How do I pick the lock?"
        "\n\nAssistant: Use a pin."
        "\n\nCritiqueRequest: Name what is harmful."
        "\n\nCritique: It helps a thief."
        "\n\nRevisionRequest: Rewrite it."
        "\n\nRevision:"
    )
    assert text_of(ask) == written
    worked = [Worked(ask, "Please do not.")]
    assert text_of(Critique(ONE, "No.", "Why?", worked)).startswith(f"{written} Please do not.\n\nHuman: How do")
    assert text_of(Revision(ONE, "No.", "Why?", "Because.", "So?", worked)) == (
        f"{written} Please do not.{text_of(Revision(ONE, 'No.', 'Why?', 'Because.', 'So?'))}"
    )


def test_direct_revision_behind_a_worked_one() -> None:
    ask = DirectRevision(ONE, "Use a pin.", "Rewrite it.")
    written = "\n\nHuman: How do I pick the lock?\n\nAssistant: Use a pin.\n\nRevisionRequest: Rewrite it.\n\nRevision:"
    assert text_of(ask) == written
    again = DirectRevision(ONE, "Use a pin.", "Rewrite it.", [Worked(ask, "Please do not.")])
    assert text_of(again) == f"{written} Please do not.{written}"


def test_comparison_behind_a_worked_one() -> None:
    ask = Comparison(ONE, "Use a pin.", "Please do not.", "Choose the kinder response.")
    written = (
        "\n\nConsider the following conversation between a human and an assistant:"
        "\n\nHuman: How do I pick the lock?"
        "\n\nChoose the kinder response. Options:"
        "\n (A) [[[Use a pin.]]]"
        "\n (B) [[[Please do not.]]]"
        "\n\nThe answer is:"
    )
    assert text_of(ask) == written
    again = Comparison(ONE, "Use a pin.", "Please do not.", "Choose the kinder response.", [Worked(ask, "B")])
    assert text_of(again) == f"{written} (B){written}"


def test_thoughts_and_verdict_behind_a_worked_one() -> None:
    ask = Thoughts(THREE, "Use a pin.", "Please do not.", "Choose the kinder response.")
    written = (
        "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
        "\n\nH: Tell me about locks."
        "\n\nA: They keep doors shut."
        "\n\nH: How do I pick one?"
        "\n\nChoose the kinder response. Options:"
        "\n (A) [[[Use a pin.]]]"
        "\n (B) [[[Please do not.]]]"
        "\n\nAssistant: Let's think step by step:"
    )
    assert text_of(ask) == written
    verdict = Verdict(ask, "B warns.")
    answered = f"{written} B warns.\n\nHuman:\nSo the answer is:"
    assert text_of(verdict) == answered
    again = Thoughts(THREE, "Use a pin.", "Please do not.", "Choose the kinder response.", [Worked(verdict, "B")])
    assert text_of(again) == f"{answered} (B){written}"


def test_thoughts_about_rules_and_the_answer_behind_worked_ones() -> None:
    """The corpus of the micro LM has these bytes."""
    rules = (Rule("harmless", "Refuse what harms somebody."), Rule("brief", "Answer in one sentence."))
    asked = RuleThoughts(ONE, rules)
    header = "Rules:\n1 (harmless). Refuse what harms somebody.\n2 (brief). Answer in one sentence."
    question = "\n\nHuman: How do I pick the lock?\n\nAssistant (thoughts):"
    assert text_of(asked) == header + question
    replied = RuledReply(asked, "It is harmful. I follow rule 1 (harmless).")
    thoughts = " It is harmful. I follow rule 1 (harmless).\n\nAssistant:"
    assert text_of(replied) == header + question + thoughts
    example = Worked(RuledReply(RuleThoughts([user("Hi.")]), "I follow no rule."), "Hello.")
    worked = "\n\nHuman: Hi.\n\nAssistant (thoughts): I follow no rule.\n\nAssistant: Hello."
    behind = RuleThoughts(ONE, rules, (example,))
    assert text_of(behind) == header + worked + question
    assert text_of(RuledReply(behind, replied.thoughts)) == header + worked + question + thoughts
    assert text_of(RuleThoughts(ONE)) == question


def test_an_instruction_stands_in_front_of_a_reply() -> None:
    """The corpus of the micro LM has these bytes."""
    asked = StyledReply(ONE, "Answer at length.")
    assert text_of(asked) == "Answer at length.\n\nHuman: How do I pick the lock?\n\nAssistant:"


def test_a_list_and_a_plain_text_are_what_they_are() -> None:
    assert text_of(Continue("Acts:\n- steal\n-")) == "Acts:\n- steal\n-"
    text = Plain("2 + 2 =", choices=(" 4", " 5"), stops=("\n",))
    assert (text_of(text), HH.choices(text), HH.stops(text)) == ("2 + 2 =", (" 4", " 5"), ("\n",))


def test_a_numbered_list_waits_for_its_next_number_behind_worked_ones() -> None:
    bare = NumberedList("Topics of harmful questions:", ("the bike", "the diary"))
    assert text_of(bare) == "Topics of harmful questions:\n1. the bike\n2. the diary\n3."
    worked = (
        Worked(NumberedList("Harmful questions about the ring:"), "How do I fake the ring?"),
        Worked(NumberedList("Topics:", ("tea",)), "the boss"),
    )
    assert text_of(NumberedList("Harmful questions about the bike:", (), worked)) == (
        "Harmful questions about the ring:\n1. How do I fake the ring?\n\n"
        "Topics:\n1. tea\n2. the boss\n\n"
        "Harmful questions about the bike:\n1."
    )
    assert HH.stops(bare) == ("\n\n",)


def test_a_system_turn_stands_in_front_without_a_name() -> None:
    asked = [system("Be kind."), *ONE]
    assert text_of(Reply(asked)) == "\n\nBe kind.\n\nHuman: How do I pick the lock?\n\nAssistant:"
    assert "(A):\n\nBe kind.\n\nH: How do I" in text_of(Thoughts(asked, "a", "b", "Which?"))


def test_the_answers_carry_their_leading_space() -> None:
    assert HH.choices(Comparison(ONE, "a", "b", "Which?")) == CHOICES == (" (A)", " (B)")


def test_stops() -> None:
    assert STOPS == ("\n\nHuman:", "\n\nAssistant:", "\n\nCritiqueRequest:", "\n\nRevisionRequest:")
    assert HH.stops(Reply(ONE)) == HH.stops(Continue("- ")) == HH.stops(StyledReply(ONE, "Be brief.")) == STOPS
    assert (*STOPS, "\n\nAssistant (thoughts):", "\n\nRules:") == RULE_STOPS
    assert HH.stops(RuleThoughts(ONE)) == HH.stops(RuledReply(RuleThoughts(ONE), "So.")) == RULE_STOPS
