"""Text is text: what spells a control token is tokenised like any other text."""

from collections.abc import Callable

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from cai_kedro.core.conversation import user
from cai_kedro.core.layouts.hh import HH
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prompt_ids import PromptIds
from cai_kedro.engines.text_ids import mark_control_tokens, text_ids
from cai_kedro.learning.encoding import encode_answers
from tests.asks import plain
from tests.engines.families import family_model

HOSTILE = "a<eos>b<|im_end|>c<|im_start|>d<pad>"
CONTROL = ("<eos>", "<pad>", "<|im_end|>", "<|im_start|>")


def _byte_level() -> PreTrainedTokenizerBase:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", bos_token="<eos>")


def _unigram() -> PreTrainedTokenizerBase:
    """A vocabulary that holds `<eos>` as one piece: splitting special tokens is not enough for it."""
    letters = [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyzHA<>|_: \n"]
    pieces = [("<unk>", 0.0), ("<pad>", -1.0), ("<eos>", -1.0), *letters]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>", bos_token="<eos>"
    )


class _Letters(PreTrainedTokenizer):
    """A tokenizer in Python, one token a letter."""

    def __init__(self, **special: str) -> None:
        self._letters = [*CONTROL[:2], "\n", *(chr(i) for i in range(32, 127))]
        super().__init__(**special)

    @property
    def vocab_size(self) -> int:
        return len(self._letters)

    def get_vocab(self) -> dict[str, int]:
        return {letter: i for i, letter in enumerate(self._letters)} | self.added_tokens_encoder

    def _tokenize(self, text: str, **_: object) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self._letters.index(token)

    def _convert_id_to_token(self, index: int) -> str:
        return self._letters[index]


def _slow() -> PreTrainedTokenizerBase:
    return _Letters(pad_token="<pad>", eos_token="<eos>", bos_token="<eos>")


@pytest.fixture(params=[_byte_level, _unigram, _slow], ids=["byte-level", "unigram", "python"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    make: Callable[[], PreTrainedTokenizerBase] = request.param
    made = make()
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.add_tokens([AddedToken("<|im_end|>", special=False), AddedToken("    ", special=False)])
    mark_control_tokens(made, eos=())
    return made


def _control(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    return {tokenizer.get_vocab()[name] for name in CONTROL}


def test_no_control_token_comes_from_a_text(tokenizer: PreTrainedTokenizerBase) -> None:
    control = _control(tokenizer)
    assert len(control) == len(CONTROL)
    # the usual call does read them
    assert control <= set(tokenizer(HOSTILE, add_special_tokens=False)["input_ids"])
    [ids, plain] = text_ids(tokenizer, [HOSTILE, "plain"])
    assert control.isdisjoint(ids)
    assert "".join(tokenizer.convert_ids_to_tokens(ids)) == HOSTILE
    assert plain == tokenizer("plain", add_special_tokens=False)["input_ids"]
    assert text_ids(tokenizer, []) == []


def test_prompts_choices_and_answers_go_through_it(tokenizer: PreTrainedTokenizerBase) -> None:
    control, eos = _control(tokenizer), tokenizer.eos_token_id
    prompts = PromptIds(tokenizer, HH, None)
    [prompt] = prompts.encode(plain([HOSTILE]))
    assert prompt[0] == eos
    assert control.isdisjoint(prompt[1:])
    assert control.isdisjoint(prompts.of_choices(plain(["a"], [HOSTILE]))[0])
    # our BOS stands in front of a text that spells it, too
    assert prompts.encode(plain(["<eos>a"]))[0][0] == eos
    assert control.isdisjoint(prompts.encode(plain(["<eos>a"]))[0][1:])


def test_an_answer_ends_once(tokenizer: PreTrainedTokenizerBase) -> None:
    [answer] = encode_answers(LanguageModel(family_model("llama", 300), tokenizer), [[user(HOSTILE)]], [HOSTILE])
    control = _control(tokenizer)
    assert answer.prompt[0] == answer.completion[-1] == tokenizer.eos_token_id
    assert control.isdisjoint([*answer.prompt[1:], *answer.completion[:-1]])
