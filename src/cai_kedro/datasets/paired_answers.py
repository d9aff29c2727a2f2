"""Two answers of which people chose one, in any of the forms in which such data are published."""

from typing import NamedTuple

from cai_kedro.core.conversation import ASSISTANT, Message, render
from cai_kedro.datasets.prompt_rows import (
    CONVERSATION,
    conversation_in,
    conversation_of,
    from_turns,
    is_laid_out,
    text_of,
    turns_of,
)
from cai_kedro.datasets.row_errors import IrregularRowError, Row
from cai_kedro.engines.leaked_turns import without_leaked_turns


class PairedAnswers(NamedTuple):
    """A conversation that ends on a human turn, and the two answers to it."""

    messages: list[Message]
    chosen: str
    rejected: str


def paired_answers(row: Row) -> PairedAnswers:
    """Read `chosen` and `rejected`: two answers to a conversation of the row, or two whole conversations.

    Both are texts, whole conversations in the Human/Assistant layout (hh-rlhf), or both are lists of turns (TRL). What
    whole conversations share at their start is the conversation, the rest of each is the answer. So an answer may be
    empty, and it holds several turns where the two differ before the last one. Raises `IrregularRowError` for a row
    that fits no form, `RowError` for one that lacks a text.
    """
    chosen, rejected = _turns(row, "chosen"), _turns(row, "rejected")
    alone = not set(CONVERSATION) & set(row)
    if chosen and rejected and (alone or not _are_answers(row, chosen, rejected)):
        pair = _of_whole_conversations(chosen, rejected)
        _check_same(row, pair.messages, chosen)
    elif alone:
        raise IrregularRowError(
            "fits no form: it has no conversation in 'messages' or 'prompt', and 'chosen' and 'rejected' are no whole "
            "conversations, neither texts that open with 'Human:' nor lists of turns"
        )
    else:
        pair = PairedAnswers(conversation_of(row), _answer(row, "chosen"), _answer(row, "rejected"))
    if pair.chosen == pair.rejected:
        raise IrregularRowError("has the same answer as chosen and as rejected; drop the line")
    return pair


def _turns(row: Row, column: str) -> list[Message] | None:
    """Return the turns of a list or of a text in the layout; None for a text of another kind."""
    if isinstance(row.get(column), list):
        return from_turns(row[column])
    text = text_of(row, column)
    return turns_of(text) if is_laid_out(text) else None


def _are_answers(row: Row, chosen: list[Message], rejected: list[Message]) -> bool:
    """Tell whether lists of turns begin with the assistant, behind the conversation of the row."""
    listed = isinstance(row["chosen"], list) and isinstance(row["rejected"], list)
    return listed and chosen[0]["role"] == rejected[0]["role"] == "assistant"


def _answer(row: Row, column: str) -> str:
    given = row[column]
    answer = (_rest(from_turns(given)) if isinstance(given, list) else given).strip()
    if answer and not without_leaked_turns(answer):
        raise IrregularRowError(
            f"opens {column!r} with a human turn of a chat template; give the text of the answer alone"
        )
    return answer


def _check_same(row: Row, shared: list[Message], chosen: list[Message]) -> None:
    """Raise unless what stands beside is the shared conversation, or the whole chosen one."""
    for column in {"messages", "prompt", "instruction"} & set(row):
        beside = conversation_in({key: row[key] for key in (column, "input") if key in row})
        if _spoken(beside) not in (_spoken(shared), _spoken(chosen)):
            raise IrregularRowError(f"has another conversation in {column!r} than 'chosen' and 'rejected' share")


def _spoken(messages: list[Message]) -> list[Message]:
    return [turn for turn in messages if turn["role"] != "system"]


def _of_whole_conversations(chosen: list[Message], rejected: list[Message]) -> PairedAnswers:
    for column, turns in (("chosen", chosen), ("rejected", rejected)):
        if turns[-1]["role"] != "assistant":
            raise IrregularRowError(
                f"does not end on an assistant turn in {column!r}; drop what follows the last answer"
            )
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    # the answers begin with an assistant's turn, behind a human one
    while shared and (
        chosen[shared - 1]["role"] != "user" or "user" in (chosen[shared]["role"], rejected[shared]["role"])
    ):
        shared -= 1
    if not shared:
        raise IrregularRowError("has conversations that share no human turn at their start; they answer no one prompt")
    if not all(turn["content"] for turn in chosen[:shared]):
        raise IrregularRowError("has an empty turn in the conversation that 'chosen' and 'rejected' share")
    return PairedAnswers(chosen[:shared], _rest(chosen[shared:]), _rest(rejected[shared:]))


def _rest(turns: list[Message]) -> str:
    return render(turns).removeprefix(ASSISTANT).removeprefix(" ")
