"""A conversation and its answer as token ids, the same for fine-tuning, the preference model and sampling."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from cai_kedro.core.conversation import Conversation, as_prompt
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.text_ids import text_ids


@dataclass(frozen=True)
class EncodedAnswer:
    """BOS and the prompt's ids, then the ids of one space, the response and EOS."""

    prompt: list[int]
    completion: list[int]

    @property
    def ids(self) -> list[int]:
        """The whole sequence."""
        return self.prompt + self.completion


def encode_answers(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], responses: Sequence[str]
) -> list[EncodedAnswer]:
    """Return one encoded answer per conversation.

    Prompt and response are tokenised apart from each other, because that is what a sampler does: a token never spans
    the border. A tokenizer without BOS starts at the prompt. Raises `ValueError` when it has no EOS.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            "the tokenizer has no EOS token, so no answer would ever end; "
            "set tokenizer.eos_token before saving the model"
        )
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    prompts = text_ids(tokenizer, [as_prompt(messages) for messages in conversations])
    answers = text_ids(tokenizer, [f" {response}" for response in responses])
    return [
        EncodedAnswer(prompt=start + prompt, completion=[*answer, tokenizer.eos_token_id])
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def check_same_tokenizer(first: LanguageModel, second: LanguageModel) -> None:
    """Raise `ValueError` unless both models read the same token ids; a preference model scores a policy's ids as is."""
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
