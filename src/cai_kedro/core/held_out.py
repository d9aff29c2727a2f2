"""When two conversations are the same one, and which of a file are held out, whatever else stands in the file."""

import unicodedata

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.seeding import derive_seed

_SEEDS = 2**63


def plain_words(text: str) -> str:
    """Return a text that is equal for texts which differ in case, spaces or width of characters alone."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def written_alike(messages: Conversation) -> tuple[tuple[str, str], ...]:
    """Return turns that are equal for conversations which differ in case, spaces or a system turn alone."""
    return tuple((turn["role"], plain_words(turn["content"])) for turn in messages if turn["role"] != "system")


def is_held_out(messages: Conversation, share: float) -> bool:
    """Tell whether a conversation is in the held-out part of a file, of which it has about this share.

    The hash of the first human turn decides. So a conversation stays where it is when others are added, and
    conversations that open alike are on the same side.
    """
    opening = next((turn["content"] for turn in messages if turn["role"] == "user"), "")
    return derive_seed(0, "held out", plain_words(opening)) < share * _SEEDS
