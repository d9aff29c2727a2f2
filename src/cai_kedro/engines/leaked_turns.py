"""Turns of a chat template that a model writes into its answer: `model` and a line break first, or a control token.

Models that were tuned on a template of their own open a turn as that template does, also in our layout. One rule for
all stages that sample: what opens the assistant's turn is cut off, and whatever stands behind the end of that turn.
"""

import re
from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase

_CONTROL = r"(?:<[|｜][^<>|｜\n]{1,40}[|｜]>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>)"
_LINE_END = rf"(?:[ \t]*\r?\n|\s*{_CONTROL})"
#: What opens the assistant's turn, several times over in some answers.
_OPENING = re.compile(rf"(?:\s*{_CONTROL})*\s*(?:(?:(?i:assistant|model){_LINE_END}|{_CONTROL})\s*)*")
_OTHERS_TURN = re.compile(rf"(?i:user|human|system|developer|tool)(?:{_LINE_END})")
_CONTROL_TOKEN = re.compile(_CONTROL)


def without_leaked_turns(text: str) -> str:
    """Return what the assistant says in its own turn, stripped; nothing where the text opens somebody else's."""
    opening = _OPENING.match(text)
    said = text[opening.end() :] if opening else text
    if _OTHERS_TURN.match(said):
        return ""
    return _CONTROL_TOKEN.split(said, maxsplit=1)[0].strip()


def turn_tokens(tokenizer: PreTrainedTokenizerBase, eos: Iterable[int]) -> frozenset[int]:
    """Return the special tokens that open or close a turn without ending an answer, so that a text can show them."""
    named = {tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id, *eos}
    return frozenset(
        i
        for i, token in tokenizer.added_tokens_decoder.items()
        if token.special and i not in named and _CONTROL_TOKEN.fullmatch(token.content)
    )
