"""Two answers of which people chose one, in either of the two forms in which such data are published."""

from typing import NamedTuple

from cai_kedro.core.conversation import ASSISTANT, Message, render
from cai_kedro.datasets.prompt_rows import conversation_of, is_laid_out, text_of, turns_of
from cai_kedro.datasets.raw_rows import IrregularRowError, Row
from cai_kedro.engines.leaked_turns import without_leaked_turns


class PairedAnswers(NamedTuple):
    """A conversation that ends on a human turn, and the two answers to it."""

    messages: list[Message]
    chosen: str
    rejected: str


def paired_answers(row: Row) -> PairedAnswers:
    """Read `chosen` and `rejected`: two answers to `messages` or `prompt`, or two whole conversations (hh-rlhf).

    What whole conversations share at their start is the conversation, the rest of each is the answer. So an answer may
    be empty, and it holds several turns where the two differ before the last one. Raises `IrregularRowError` for a row
    that fits neither form, `RowError` for one that lacks a text.
    """
    chosen, rejected = text_of(row, "chosen"), text_of(row, "rejected")
    alone = not {"messages", "prompt"} & set(row)
    if is_laid_out(chosen) and is_laid_out(rejected):
        pair = _of_whole_conversations(chosen, rejected)
        if not alone and conversation_of(row) != pair.messages:
            raise IrregularRowError("has another conversation in 'prompt' than 'chosen' and 'rejected' share")
    elif alone:
        raise IrregularRowError(
            "fits neither form: it has no 'messages' or 'prompt', and 'chosen' and 'rejected' are no whole "
            "conversations that open with 'Human:'"
        )
    else:
        pair = PairedAnswers(conversation_of(row), chosen.strip(), rejected.strip())
        for column, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            if not without_leaked_turns(answer):
                raise IrregularRowError(
                    f"opens {column!r} with a human turn of a chat template; give the text of the answer alone"
                )
    if pair.chosen == pair.rejected:
        raise IrregularRowError("has the same answer as chosen and as rejected; drop the line")
    return pair


def _of_whole_conversations(chosen_text: str, rejected_text: str) -> PairedAnswers:
    chosen, rejected = turns_of(chosen_text), turns_of(rejected_text)
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
