"""The Human/Assistant layout of the paper's released prompts, for base models; tests pin it byte for byte."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cai_kedro.core.asks import (
    Ask,
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
from cai_kedro.core.conversation import ASSISTANT, HH_CHAT_TEMPLATE, HUMAN, Conversation, as_prompt, render
from cai_kedro.core.layouts.base import LayoutKind, Written

CRITIQUE_REQUEST = "\n\nCritiqueRequest:"
CRITIQUE = "\n\nCritique:"
REVISION_REQUEST = "\n\nRevisionRequest:"
REVISION = "\n\nRevision:"

#: Where a sampled reply, critique or revision ends.
STOPS: tuple[str, ...] = (HUMAN, ASSISTANT, CRITIQUE_REQUEST, REVISION_REQUEST)

#: Where a numbered list ends.
BLANK_LINE = "\n\n"

RULES = "Rules:"
RULE_THOUGHTS = "\n\nAssistant (thoughts):"

#: Where thoughts about rules and the answer behind them end.
RULE_STOPS: tuple[str, ...] = (*STOPS, RULE_THOUGHTS, f"\n\n{RULES}")

#: The two answers of a comparison, leading space included.
CHOICES: tuple[str, str] = (" (A)", " (B)")

CONSIDER = "\n\nConsider the following conversation between a human and an assistant:"
CONSIDER_COT = "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
STEP_BY_STEP = "\n\nAssistant: Let's think step by step:"
SO_THE_ANSWER = "\n\nHuman:\nSo the answer is:"


@dataclass(frozen=True)
class HHLayout:
    """Turns behind `Human:` and `Assistant:`, critiques and revisions behind markers of their own."""

    kind: ClassVar[LayoutKind] = "hh"
    template: ClassVar[str] = HH_CHAT_TEMPLATE
    bos: ClassVar[bool] = True
    turn_end: ClassVar[str | None] = None
    digest: ClassVar[str] = "hh"

    def prompt(self, ask: Ask) -> Written:
        """Write down an ask."""
        return Written(text_of(ask))

    def answer(self, messages: Conversation, response: str) -> Written:
        """Write down an answer: one space in front."""
        return Written(f" {response}")

    def stops(self, ask: Ask) -> tuple[str, ...]:
        """Return the markers that open somebody else's turn; a numbered list and a plain text have their own."""
        if isinstance(ask, NumberedList):
            return (BLANK_LINE,)
        if isinstance(ask, RuleThoughts | RuledReply):
            return RULE_STOPS
        return ask.stops if isinstance(ask, Plain) else STOPS

    def choices(self, ask: Ask) -> tuple[str, ...]:
        """Return the two letters in brackets, of a plain text its own choices."""
        return ask.choices if isinstance(ask, Plain) else CHOICES


HH = HHLayout()


def text_of(ask: Ask) -> str:  # noqa: PLR0911 - one line for each kind of ask
    """Write down an ask behind its worked examples."""
    match ask:
        case Reply():
            return as_prompt(ask.messages)
        case Continue() | Plain():
            return ask.text
        case Critique():
            return f"{_worked(ask.examples)}{_asked_for_critique(ask)}"
        case Revision():
            critique = Critique(ask.messages, ask.response, ask.critique_request, ask.examples)
            return f"{text_of(critique)} {ask.critique}{REVISION_REQUEST} {ask.revision_request}{REVISION}"
        case DirectRevision():
            asked = f"{as_prompt(ask.messages)} {ask.response}{REVISION_REQUEST} {ask.revision_request}{REVISION}"
            return f"{_worked(ask.examples)}{asked}"
        case Comparison():
            shown = f"{CONSIDER}{render(ask.messages)}{_question(ask)}"
            return f"{_worked(ask.examples)}{shown}\n\nThe answer is:"
        case Thoughts():
            shown = f"{CONSIDER_COT}{abbreviated(ask.messages)}{_question(ask)}"
            return f"{_worked(ask.examples)}{shown}{STEP_BY_STEP}"
        case Verdict():
            return f"{text_of(ask.of)} {ask.thoughts}{SO_THE_ANSWER}"
        case NumberedList():
            return f"{_worked(ask.examples)}{numbered(ask)}\n{len(ask.items) + 1}."
        case RuleThoughts():
            return f"{rules_text(ask.rules)}{_worked(ask.examples)}{render(ask.messages)}{RULE_THOUGHTS}"
        case RuledReply():
            return f"{text_of(ask.of)} {ask.thoughts}{ASSISTANT}"
        case StyledReply():
            return f"{ask.instruction}{as_prompt(ask.messages)}"


def rules_text(rules: Sequence[Rule]) -> str:
    """Write rules under their header, each on a line with its number and name; nothing where there are none."""
    lines = [f"\n{number} ({rule.name}). {rule.text}" for number, rule in enumerate(rules, start=1)]
    return "".join([RULES, *lines]) if lines else ""


def options(first: str, second: str) -> str:
    """Write the two options of a comparison, brackets included."""
    return f"\n (A) [[[{first}]]]\n (B) [[[{second}]]]"


def numbered(ask: NumberedList) -> str:
    """Write the header of a list and its items."""
    return "\n".join([ask.header, *(f"{place}. {item}" for place, item in enumerate(ask.items, start=1))])


def abbreviated(messages: Conversation) -> str:
    """Write a conversation with the single letters H and A, as the chain-of-thought layout does."""
    names = {"system": "", "user": "H: ", "assistant": "A: "}
    return "".join(f"\n\n{names[turn['role']]}{turn['content']}" for turn in messages)


def _asked_for_critique(ask: Critique) -> str:
    return f"{as_prompt(ask.messages)} {ask.response}{CRITIQUE_REQUEST} {ask.critique_request}{CRITIQUE}"


def _question(ask: Comparison | Thoughts) -> str:
    return f"\n\n{ask.question} Options:{options(ask.first, ask.second)}"


def _worked(examples: Sequence[Worked]) -> str:
    return "".join(worked_text(example) for example in examples)


def worked_text(example: Worked) -> str:
    """Write down a worked example: the ask and its answer."""
    if isinstance(example.ask, Comparison | Verdict):
        return f"{text_of(example.ask)} ({example.answer})"
    if isinstance(example.ask, NumberedList):
        return f"{text_of(example.ask)} {example.answer}{BLANK_LINE}"
    return f"{text_of(example.ask)} {example.answer}"
