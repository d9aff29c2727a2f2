"""The red-team prompts and the helpfulness prompts: cleaned, without doubles."""

import logging

import pandas as pd

from cai_kedro.core.conversation import Message, as_messages, render

logger = logging.getLogger(__name__)


def clean_prompts(given: pd.DataFrame) -> pd.DataFrame:
    """Strip every turn and keep the first of equal conversations (`prompts` → `prompts`)."""
    messages = [_stripped(as_messages(cell)) for cell in given["messages"]]
    cleaned = given.assign(messages=pd.Series(messages, index=given.index, dtype=object))
    doubles = cleaned["messages"].map(render).duplicated()
    if doubles.any():
        logger.info("%d prompts were there twice, %d are kept", doubles.sum(), (~doubles).sum())
    return cleaned[~doubles].reset_index(drop=True)


def gather_red_team_prompts(given: pd.DataFrame, generated: pd.DataFrame) -> pd.DataFrame:
    """Put given and generated prompts into one table (`prompts` ×2 → `prompts`; §3.2): given first, `source` kept."""
    return clean_prompts(pd.concat([given, generated], ignore_index=True))


def _stripped(messages: list[Message]) -> list[Message]:
    return [Message(role=turn["role"], content=turn["content"].strip()) for turn in messages]
