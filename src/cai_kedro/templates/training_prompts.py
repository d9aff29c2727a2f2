"""Prompts that may be trained on: without doubles, and apart from what the evaluation asks.

Two rules keep them apart, and neither knows a world: a conversation that is an evaluation prompt is left out, and so is
one in which a human says a held-out phrase (a topic, a name, an act: whatever stands in the list that people give).
"""

import logging
import re
from collections.abc import Callable, Sequence

import pandas as pd

from cai_kedro.core.conversation import Conversation, Message, as_messages, render
from cai_kedro.core.held_out import written_alike

logger = logging.getLogger(__name__)

#: So many prompt ids are named in a warning.
_NAMED = 3


def training_prompts(given: pd.DataFrame, held_out: pd.DataFrame, held_out_phrases: Sequence[str]) -> pd.DataFrame:
    """Strip every turn, keep the first of equal conversations, leave out what is held out (`prompts` → `prompts`).

    Args:
        given: the prompts, of one or several sources.
        held_out: the prompts of the evaluation.
        held_out_phrases: phrases that no human turn of a training prompt may hold.
    """
    cleaned = clean_prompts(given)
    conversations = [as_messages(cell) for cell in cleaned["messages"]]
    evaluated = {written_alike(as_messages(cell)) for cell in held_out["messages"]}
    asked_there = pd.Series([written_alike(each) in evaluated for each in conversations], index=cleaned.index)
    finds = phrase_finder(held_out_phrases)
    topics = pd.Series([any(map(finds, human_turns(each))) for each in conversations], index=cleaned.index)
    for left_out, why in (
        (asked_there, "are prompts of the evaluation"),
        (topics & ~asked_there, "hold a held-out phrase"),
    ):
        if left_out.any():
            ids = ", ".join(repr(name) for name in cleaned.loc[left_out, "prompt_id"][:_NAMED])
            more = ", …" if left_out.sum() > _NAMED else ""
            logger.warning(
                "%d of %d prompts %s and are not trained on: %s%s", left_out.sum(), len(cleaned), why, ids, more
            )
    return cleaned[~(asked_there | topics)].reset_index(drop=True)


def clean_prompts(given: pd.DataFrame) -> pd.DataFrame:
    """Strip every turn and keep the first of equal conversations (`prompts` → `prompts`)."""
    messages = [_stripped(as_messages(cell)) for cell in given["messages"]]
    cleaned = given.assign(messages=pd.Series(messages, index=given.index, dtype=object))
    doubles = cleaned["messages"].map(render).duplicated()
    if doubles.any():
        logger.info("%d prompts were there twice, %d are kept", doubles.sum(), (~doubles).sum())
    return cleaned[~doubles].reset_index(drop=True)


def human_turns(messages: Conversation) -> list[str]:
    """Return what the human says in a conversation."""
    return [turn["content"].strip() for turn in messages if turn["role"] == "user"]


def phrase_finder(phrases: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a text holds one of some phrases.

    As whole words, in any case, with any spaces between words; phrases of scripts beyond ASCII, which may put no spaces
    between words, are found anywhere.
    """
    patterns = [_pattern(words) for phrase in phrases if (words := phrase.split())]
    if not patterns:
        return lambda text: False
    expression = re.compile("|".join(patterns), re.IGNORECASE)
    return lambda text: expression.search(text) is not None


def _pattern(words: Sequence[str]) -> str:
    text = r"\s+".join(map(re.escape, words))
    return rf"(?<!\w){text}(?!\w)" if "".join(words).isascii() else text


def _stripped(messages: list[Message]) -> list[Message]:
    return [Message(role=turn["role"], content=turn["content"].strip()) for turn in messages]
