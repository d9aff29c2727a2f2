"""A conversation and its answer as token ids, the same for fine-tuning, the preference model and sampling."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.engines.eos import end_id
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prompt_ids import prompt_ids, refused
from cai_kedro.engines.text_ids import written_ids

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedAnswer:
    """The prompt's ids, then those of the assistant's turn with the token that ends it, as the layout writes both."""

    prompt: list[int]
    completion: list[int]

    @property
    def ids(self) -> list[int]:
        """The whole sequence."""
        return self.prompt + self.completion


def encode_answers(
    lm: LanguageModel, conversations: Sequence[Conversation], responses: Sequence[str]
) -> list[EncodedAnswer]:
    """Return one encoded answer per conversation, in the model's layout.

    Prompt and response are tokenised apart from each other, because that is what a sampler does: a token never spans
    the border. Raises `ValueError` when no token ends a turn.
    """
    end = end_id(lm.tokenizer, lm.layout)
    if end is None:
        raise ValueError(
            "the tokenizer has no EOS token, so no answer would ever end; "
            "set tokenizer.eos_token before saving the model"
        )
    prompts = prompt_ids(lm.tokenizer, lm.layout, [Reply(messages) for messages in conversations])
    written = [lm.layout.answer(*pair) for pair in zip(conversations, responses, strict=True)]
    return [
        EncodedAnswer(prompt=prompt, completion=[*answer, end])
        for prompt, answer in zip(prompts, written_ids(lm.tokenizer, written), strict=True)
    ]


def without_refused(lm: LanguageModel, table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows whose `messages` the model's chat template refuses, with one warning."""
    turned_away = refused(lm.layout, [Reply(as_messages(cell)) for cell in table["messages"]])
    if turned_away:
        logger.warning("%d of %d rows are left out: %s", len(turned_away), len(table), next(iter(turned_away.values())))
    kept = [row for row in range(len(table)) if row not in turned_away]
    return table.iloc[kept].reset_index(drop=True)


@dataclass(frozen=True)
class EncodedPair:
    """Two answers to one conversation, and how probably A is the better one."""

    a: EncodedAnswer
    b: EncodedAnswer
    p_a_better: float

    @property
    def length(self) -> int:
        """Tokens of the longer one, with the prompt."""
        return max(len(self.a.ids), len(self.b.ids))


def encode_pairs(lm: LanguageModel, comparisons: pd.DataFrame, max_length: int, setting: str) -> list[EncodedPair]:
    """Encode `comparisons`; those that the chat template refuses, or of more than `max_length` tokens, are left out.

    Each kind of them is told in one warning. `setting` is the parameter that holds the limit, for the error. Raises
    `ValueError` when none is left.
    """
    came, comparisons = len(comparisons), without_refused(lm, comparisons)
    if came and comparisons.empty:
        raise ValueError(f"the chat template refuses all {came} comparisons; give base_model.layout=hh, or other ones")
    conversations = [as_messages(cell) for cell in comparisons["messages"]]
    a, b = (encode_answers(lm, conversations, list(comparisons[f"response_{side}"])) for side in "ab")
    labels = comparisons["p_a_better"].astype(float)
    pairs = [EncodedPair(*row) for row in zip(a, b, labels, strict=True)]
    kept = [pair for pair in pairs if pair.length <= max_length]
    if not kept:
        raise ValueError(
            f"all {len(pairs)} comparisons are longer than max_length={max_length} tokens (the shortest has "
            f"{min(pair.length for pair in pairs)}); raise {setting}"
        )
    if len(kept) < len(pairs):
        logger.warning(
            "%d of %d comparisons are longer than %d tokens: left out", len(pairs) - len(kept), len(pairs), max_length
        )
    return kept


def check_same_tokenizer(first: LanguageModel, second: LanguageModel) -> None:
    """Raise `ValueError` unless both models read the same ids in the same layout: a policy's ids are scored as is."""
    ours, theirs = first.tokenizer.get_vocab(), second.tokenizer.get_vocab()
    if ours != theirs:
        token = min(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
        raise ValueError(
            f"the two models have different tokenizers ({len(ours)} and {len(theirs)} tokens; {token!r} is "
            f"{ours.get(token)} in one and {theirs.get(token)} in the other): train both from the same base model"
        )
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(first.tokenizer, name) != getattr(second.tokenizer, name):
            raise ValueError(
                f"the two tokenizers differ in {name}: {getattr(first.tokenizer, name)} and "
                f"{getattr(second.tokenizer, name)}; train both models from the same base model"
            )
    if first.layout.digest != second.layout.digest:
        raise ValueError(
            f"the two models are asked in different layouts, {first.layout.kind} and {second.layout.kind}; train both "
            f"from the same base model, with the same base_model.layout"
        )
