"""A row's token ids: BOS, prompt, one space, response, EOS."""

import copy
from dataclasses import replace

import pytest

from cai_kedro.core.conversation import as_prompt, assistant, user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.encoding import check_same_tokenizer, encode_answers

BOS = EOS = 1
CONVERSATIONS = [[user("Hi")], [user("And?"), assistant("So."), user("Why, é?")]]


def test_token_by_token(tiny_lm: LanguageModel) -> None:
    tokenizer = tiny_lm.tokenizer
    encoded = encode_answers(tiny_lm, CONVERSATIONS, ["Hello", "No."])
    for answer, messages, response in zip(encoded, CONVERSATIONS, ["Hello", "No."], strict=True):
        assert answer.prompt[0] == BOS
        assert answer.completion[-1] == EOS
        # the test tokenizer has one token per byte: two special tokens, then the alphabet
        assert len(answer.ids) == 1 + len((as_prompt(messages) + " " + response).encode()) + 1
        assert tokenizer.decode(answer.prompt[1:]) == as_prompt(messages)
        assert tokenizer.decode(answer.completion[:-1]) == " " + response
        assert answer.prompt == [BOS, *tokenizer.encode(as_prompt(messages), add_special_tokens=False)]
    assert encode_answers(tiny_lm, [], []) == []


def test_without_bos_it_starts_at_the_prompt(tiny_lm: LanguageModel) -> None:
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.bos_token = None
    [answer] = encode_answers(replace(tiny_lm, tokenizer=tokenizer), CONVERSATIONS[:1], ["Hello"])
    assert tokenizer.decode(answer.prompt) == "\n\nHuman: Hi\n\nAssistant:"


def test_without_eos_it_is_refused(tiny_lm: LanguageModel) -> None:
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"no EOS token.*set tokenizer\.eos_token"):
        encode_answers(replace(tiny_lm, tokenizer=tokenizer), CONVERSATIONS[:1], ["Hello"])


def test_same_tokenizer(tiny_lm: LanguageModel) -> None:
    check_same_tokenizer(tiny_lm, LanguageModel(tiny_lm.model, copy.deepcopy(tiny_lm.tokenizer)))
    more = copy.deepcopy(tiny_lm.tokenizer)
    more.add_tokens(["<new>"])
    with pytest.raises(ValueError, match=r"different tokenizers .*'<new>' is None in one and 258 in the other"):
        check_same_tokenizer(tiny_lm, LanguageModel(tiny_lm.model, more))
    padded = copy.deepcopy(tiny_lm.tokenizer)
    padded.pad_token = "<eos>"
    with pytest.raises(ValueError, match="differ in pad_token_id: 0 and 1"):
        check_same_tokenizer(tiny_lm, LanguageModel(tiny_lm.model, padded))
