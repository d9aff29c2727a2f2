"""Padding is always a token of its own: chosen among unused ones, or added with a row of the embeddings."""

import copy
import json
import logging
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerBase

from cai_kedro.core.conversation import user
from cai_kedro.engines import tokenizer_files
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import check_model_directory, load_language_model, save_language_model
from cai_kedro.engines.weight_files import embedding_rows
from cai_kedro.learning.preference import score_responses, with_score_head
from tests.engines.families import family_model

BYTES = 258  # tokens of the test tokenizer: <pad>, <eos> and the bytes


@pytest.fixture
def unpadded(tiny_lm: LanguageModel) -> PreTrainedTokenizerBase:
    """Without padding: `<pad>` is a piece of text like others."""
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.pad_token = None
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] != "<pad>"]
    state["model"]["vocab"] = {"zero" if name == "<pad>" else name: i for name, i in state["model"]["vocab"].items()}
    return type(tokenizer)(
        tokenizer_object=type(tokenizer.backend_tokenizer).from_str(json.dumps(state)),
        eos_token="<eos>",
        bos_token="<eos>",
    )


def _saved(tokenizer: PreTrainedTokenizerBase, directory: Path, rows: int | None = None, tied: bool = True) -> Path:
    config = LlamaConfig(
        vocab_size=rows or len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=1,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    save_language_model(LanguageModel(LlamaForCausalLM(config), tokenizer), directory)
    return directory


@pytest.mark.parametrize("pad", [None, "<eos>"])
@pytest.mark.parametrize("tied", [True, False])
def test_without_an_unused_token_one_is_added(
    unpadded: PreTrainedTokenizerBase, tmp_path: Path, pad: str | None, tied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    unpadded.pad_token = pad
    directory = _saved(unpadded, tmp_path / "m", tied=tied)
    tokenizer_files._say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        lm, again = load_language_model(directory), load_language_model(directory)
    was = "no padding token" if pad is None else "'<eos>' both as padding and as an end"
    assert caplog.messages == [
        f"the tokenizer in {directory} has {was}: '<pad>' (id {BYTES}) pads",
        f"the embeddings grow from {BYTES} to {BYTES + 1} rows, for padding and other special tokens",
    ]
    assert lm.tokenizer.pad_token_id == lm.model.config.pad_token_id == lm.model.generation_config.pad_token_id == BYTES
    assert all(torch.equal(of, again.model.state_dict()[name]) for name, of in lm.model.state_dict().items())
    ids = torch.tensor([[1, 70, 80]])
    with torch.no_grad():
        logits = lm.model(ids).logits
    # never likelier than one of n
    assert logits.softmax(-1)[..., BYTES].max() <= 1 / (BYTES + 1)
    # and saved, it comes back
    save_language_model(lm, tmp_path / "saved")
    kept = load_language_model(tmp_path / "saved")
    assert kept.tokenizer.pad_token_id == BYTES
    assert torch.equal(kept.model(ids).logits, logits)
    # the model can be a preference model now, which reads scores at EOS
    scorer = LanguageModel(with_score_head(lm, 1.0, seed=1), lm.tokenizer)
    alone = score_responses(scorer, [[user("a")]], ["b"], batch_size=1)
    padded = score_responses(scorer, [[user("a")], [user("a")]], ["b", "b" * 30], batch_size=2)
    assert padded[0] == pytest.approx(alone[0], abs=1e-5)


def test_growing_leaves_other_draws_alone(unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    directory = _saved(unpadded, tmp_path / "m")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_language_model(directory)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("added", "chosen"),
    [
        (["<|im_start|>", "<unused0>", "<|fim_pad|>", "<|vision_pad|>"], "<|fim_pad|>"),
        (["<|reserved_special_token_0|>", "<|finetune_right_pad_id|>"], "<|finetune_right_pad_id|>"),
        (["<|im_start|>", "<|reserved_special_token_0|>"], "<|reserved_special_token_0|>"),
        (["ipad", "[PAD]"], "[PAD]"),
    ],
)
def test_an_unused_token_of_the_vocabulary_comes_first(
    unpadded: PreTrainedTokenizerBase, tmp_path: Path, added: list[str], chosen: str
) -> None:
    unpadded.add_tokens(added)
    lm = load_language_model(_saved(unpadded, tmp_path / "m"))
    assert lm.tokenizer.pad_token == chosen
    assert embedding_rows(lm.model) == len(unpadded)


def test_the_token_of_unknown_characters_comes_last(unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    unpadded.add_special_tokens({"unk_token": "<unk>"})
    assert load_language_model(_saved(unpadded, tmp_path / "m")).tokenizer.pad_token == "<unk>"


def test_padding_that_also_ends_answers_is_replaced(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    """Qwen pads with the second of its two EOS."""
    lm = LanguageModel(tiny_lm.model, copy.deepcopy(tiny_lm.tokenizer))
    lm.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>", "<|fim_pad|>"]})
    lm.model.resize_token_embeddings(len(lm.tokenizer))
    lm.model.generation_config.eos_token_id = [1, 0]
    save_language_model(lm, tmp_path / "m")
    assert load_language_model(tmp_path / "m").tokenizer.pad_token == "<|fim_pad|>"


def test_rows_that_no_token_uses_take_the_padding(unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    lm = load_language_model(_saved(unpadded, tmp_path / "m", rows=BYTES + 6))
    assert lm.tokenizer.pad_token_id == BYTES
    assert embedding_rows(lm.model) == BYTES + 6


def test_padding_of_the_config_beyond_the_embeddings_is_the_tokenizers(
    tiny_lm: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_language_model(tiny_lm, tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "pad_token_id": BYTES}))
    check_model_directory(tmp_path / "m")
    assert load_language_model(tmp_path / "m").model.config.pad_token_id == tiny_lm.tokenizer.pad_token_id
    assert f"pads with the id {BYTES}, beyond the {BYTES} embeddings" in caplog.text


def test_padding_beyond_the_embeddings_gets_a_row(unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    unpadded.add_special_tokens({"pad_token": "[PAD]"})
    lm = load_language_model(_saved(unpadded, tmp_path / "m", rows=BYTES))
    assert lm.tokenizer.pad_token_id == BYTES
    assert embedding_rows(lm.model) == BYTES + 1


def test_text_beyond_the_embeddings_is_refused(unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    unpadded.add_tokens(["word"])
    with pytest.raises(ValueError, match=r"another model's: it writes 'word' as id 258, the model has 258 embeddings"):
        check_model_directory(_saved(unpadded, tmp_path / "m", rows=BYTES))


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "phi", "opt", "mamba", "bloom", "mpt", "gemma2", "cohere"])
def test_the_embeddings_of_every_family_grow(family: str, unpadded: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model = family_model(family, len(unpadded))
    ids = torch.tensor([[1, 70, 80]])
    with torch.no_grad():
        before = model(ids).logits
    model.config.pad_token_id = None
    model.generation_config.pad_token_id = None
    save_language_model(LanguageModel(model, unpadded), tmp_path / "m")
    lm = load_language_model(tmp_path / "m")
    with torch.no_grad():
        after = lm.model(ids).logits
    torch.testing.assert_close(after[..., :BYTES], before, rtol=1e-4, atol=1e-4)
    assert after.shape[-1] == BYTES + 1


def test_a_preference_model_keeps_the_padding_it_was_trained_with(
    tiny_lm: LanguageModel, unpadded: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    config = LlamaConfig(**{**tiny_lm.model.config.to_dict(), "num_labels": 1, "tie_word_embeddings": False})
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.pad_token = None
    save_language_model(LanguageModel(LlamaForSequenceClassification(config), tokenizer), tmp_path / "m")
    assert load_language_model(tmp_path / "m").tokenizer.pad_token_id == 0
    config.pad_token_id = 1
    save_language_model(LanguageModel(LlamaForSequenceClassification(config), tokenizer), tmp_path / "other")
    with pytest.raises(ValueError, match=r"pads with its EOS \(id 1\), where its score would be read; train it with"):
        check_model_directory(tmp_path / "other")
