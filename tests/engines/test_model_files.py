"""Model directories of many families: what does not fit together is refused by its name, before anything is loaded."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
)

from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import check_model_directory, load_language_model, save_language_model
from tests.engines.families import FAMILIES, family_model

WEIGHTS = "model.safetensors"


@pytest.fixture(params=FAMILIES)
def directory(request: pytest.FixtureRequest, tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    model = family_model(request.param, len(tiny_lm.tokenizer))
    save_language_model(LanguageModel(model, tiny_lm.tokenizer), tmp_path / "m")
    return tmp_path / "m"


@pytest.fixture
def llama(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    save_language_model(tiny_lm, tmp_path / "m")
    return tmp_path / "m"


def _edit(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in (content | values).items() if value != "drop"}))


def _refused(directory: Path, match: str) -> None:
    """Both the check before a run and the load refuse it."""
    for read in (check_model_directory, load_language_model):
        with pytest.raises(ValueError, match=match):
            read(directory)


def test_in_every_family_all_weights_have_to_be_there(directory: Path) -> None:
    whole = load_file(directory / WEIGHTS)
    loaded = load_language_model(directory).model.state_dict()
    same = [name for name in whole if name in loaded]
    assert same
    assert all(torch.equal(whole[name], loaded[name]) for name in same)

    layer = next(name for name in sorted(whole, reverse=True) if "norm" in name or "ln_" in name)
    for dropped in (layer, next(name for name in whole if "emb" in name or "wte" in name)):
        save_file({name: of for name, of in whole.items() if name != dropped}, directory / WEIGHTS, {"format": "pt"})
        with pytest.raises(ValueError, match=r"config\.json: \d missing, such as .*would be random numbers"):
            check_model_directory(directory)
    save_file(whole | {"other.weight": torch.zeros(2)}, directory / WEIGHTS, {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 not expected, such as other\.weight\. "):
        check_model_directory(directory)
    wider = whole | {layer: torch.ones(whole[layer].shape[0] + 1)}
    save_file(wider, directory / WEIGHTS, {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 of another shape, such as .*in the file, \[\d+\] by config\.json\)"):
        check_model_directory(directory)


def test_the_tensor_is_named_before_and_while_loading(llama: Path) -> None:
    whole = load_file(llama / WEIGHTS)
    for dropped in whole:
        save_file({name: of for name, of in whole.items() if name != dropped}, llama / WEIGHTS, {"format": "pt"})
        tied = r"2 missing, such as lm_head\.weight" if "embed" in dropped else f"1 missing, such as {dropped}"
        _refused(llama, tied)


@pytest.mark.parametrize(("layers", "fault"), [(3, "9 missing, such as model.layers.2"), (1, "9 not expected")])
def test_other_layers_in_the_config_than_in_the_weights(llama: Path, layers: int, fault: str) -> None:
    _edit(llama / "config.json", num_hidden_layers=layers)
    _refused(llama, fault)


def test_buffers_of_older_files_are_no_fault(llama: Path) -> None:
    old = load_file(llama / WEIGHTS) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(old, llama / WEIGHTS, {"format": "pt"})
    load_language_model(llama)


def test_a_preference_model_without_its_head_is_refused(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    config = copy.deepcopy(tiny_lm.model.config)
    config.num_labels, config.tie_word_embeddings = 1, False
    model = AutoModelForSequenceClassification.from_config(config)
    save_language_model(LanguageModel(model, tiny_lm.tokenizer), tmp_path / "m")
    check_model_directory(tmp_path / "m")
    whole = load_file(tmp_path / "m" / WEIGHTS)
    del whole["score.weight"]
    save_file(whole, tmp_path / "m" / WEIGHTS, {"format": "pt"})
    _refused(tmp_path / "m", r"1 missing, such as score\.weight")


# shards


@pytest.fixture
def sharded(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    tiny_lm.model.save_pretrained(tmp_path / "m", max_shard_size="20KB")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "m")
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 2
    return tmp_path / "m"


def test_shards_are_read_together(sharded: Path, tiny_lm: LanguageModel) -> None:
    loaded = load_language_model(sharded).model.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in tiny_lm.model.state_dict().items())


def test_a_shard_that_is_not_there_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    _refused(sharded, rf"names the shard '{shard.name}', which is not there; fetch or copy the whole model again")


def test_a_tensor_in_two_shards_is_not_chosen_by_chance(sharded: Path) -> None:
    first, second = sorted(sharded.glob("*.safetensors"))[:2]
    own = load_file(second)
    name, weights = next(iter(load_file(first).items()))
    save_file(own | {name: weights + 1}, second, {"format": "pt"})
    _refused(sharded, rf"{second.name} holds the tensor {name}, which is in another shard too; fetch both again")


def test_whole_numbers_are_no_weights(llama: Path) -> None:
    weights = load_file(llama / WEIGHTS)
    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: (weights[name] * 127).to(torch.int8)}, llama / WEIGHTS, {"format": "pt"})
    _refused(llama, rf"holds the weights {name} as whole numbers \(I8\), which are quantised")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_used(llama: Path, value: float) -> None:
    weights = load_file(llama / WEIGHTS)
    weights["model.norm.weight"][0] = value
    save_file(weights, llama / WEIGHTS, {"format": "pt"})
    with pytest.raises(
        ValueError, match=r"the model in .*m: 1 of \d+ weights hold values that are not finite, 'model\.n"
    ):
        load_language_model(llama)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "../model.safetensors", "/elsewhere/model.safetensors", 3], ids=str
)
def test_an_index_names_safetensors_of_its_directory_only(sharded: Path, name: object) -> None:
    index = sharded / "model.safetensors.index.json"
    (sharded / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    weight_map = json.loads(index.read_text())["weight_map"]
    _edit(index, weight_map=weight_map | {next(iter(weight_map)): name})
    _refused(sharded, r"names the shard .*; expected a \.safetensors file in the same directory")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_that_is_none(sharded: Path, content: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(content)
    _refused(sharded, r"index\.json (is no index of shards|names no shard|cannot be read)")


# configs, adapters


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("config.json", "{", r"config\.json cannot be read"),
        ("config.json", "[]", r"config\.json cannot be read"),
        ("config.json", '{"model_type": "no-such-family"}', r"config\.json cannot be read"),
        ("generation_config.json", "[1", r"generation_config\.json cannot be read"),
        ("tokenizer.json", "{}", r"the tokenizer in .* cannot be read"),
    ],
)
def test_files_that_cannot_be_read(llama: Path, file: str, content: str, fault: str) -> None:
    (llama / file).write_text(content)
    _refused(llama, fault)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"architectures": ["LlamaModel"]}, "names the architecture LlamaModel; expected a causal LM"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "expected a causal LM"),
        ({"quantization_config": {"quant_method": "fp8"}}, "names quantised weights, which cannot be trained"),
        ({"hidden_size": "wide"}, r"config\.json"),
        ({"num_attention_heads": 3}, r"config\.json"),
    ],
)
def test_configs_that_describe_no_model_of_ours(llama: Path, values: dict[str, Any], fault: str) -> None:
    _edit(llama / "config.json", **values)
    _refused(llama, fault)


def test_adapters_are_to_be_merged(llama: Path) -> None:
    (llama / "adapter_config.json").write_text('{"base_model_name_or_path": "org/name"}')
    (llama / "adapter_model.safetensors").write_bytes((llama / WEIGHTS).read_bytes())
    _refused(llama, r"an adapter beside a whole model, and it is not clear which is meant .*merge_and_unload")
    (llama / WEIGHTS).unlink()
    _refused(llama, r"holds an adapter \(adapter_config\.json\); merge the adapter into its base")


# EOS


def test_no_eos_anywhere_is_refused(llama: Path) -> None:
    # where no file names one, the family's default would be the id of some word: 2 for a Llama
    for file in ("config.json", "generation_config.json", "tokenizer_config.json"):
        _edit(llama / file, eos_token_id="drop", eos_token="drop")
    _refused(llama, r"no token ends an answer: neither tokenizer nor configs in .* name an EOS")


def test_an_eos_of_the_config_becomes_the_tokenizers(llama: Path) -> None:
    _edit(llama / "tokenizer_config.json", eos_token="drop")
    _edit(llama / "generation_config.json", eos_token_id=[7, 1])
    lm = load_language_model(llama)
    assert lm.tokenizer.eos_token_id == 7
    assert eos_ids(lm) == (7, 1)


def test_an_eos_beyond_the_embeddings_is_refused(llama: Path) -> None:
    _edit(llama / "generation_config.json", eos_token_id=[1, 999])
    _refused(llama, r"the EOS id 999 is beyond the 258 embeddings")


# the text model inside a model of text and images


def _both(tiny_lm: LanguageModel, directory: Path) -> LanguageModel:
    text = {**tiny_lm.model.config.to_dict(), "model_type": "gemma3_text", "head_dim": 8}
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config={name: text[name] for name in (*_TEXT, "head_dim")},
        vision_config={**sizes, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    config.eos_token_id = [1, 7]  # as in real files: the outer config alone names the end of a turn
    torch.manual_seed(0)
    whole = LanguageModel(Gemma3ForConditionalGeneration(config).eval(), tiny_lm.tokenizer)
    save_language_model(whole, directory)
    return whole


_TEXT = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "pad_token_id")


@pytest.mark.parametrize("layout", ["as saved", "newer", "older"])
def test_the_text_model_is_taken_out_of_a_model_of_images(tiny_lm: LanguageModel, tmp_path: Path, layout: str) -> None:
    whole = _both(tiny_lm, tmp_path / "m")
    if layout != "as saved":
        tensors = {_renamed(name, layout): of for name, of in load_file(tmp_path / "m" / WEIGHTS).items()}
        save_file(tensors, tmp_path / "m" / WEIGHTS, {"format": "pt"})
    check_model_directory(tmp_path / "m")
    lm = load_language_model(tmp_path / "m")
    assert type(lm.model).__name__ == "Gemma3ForCausalLM"
    ids = torch.tensor([[1, 70, 80]])
    with torch.no_grad():
        torch.testing.assert_close(lm.model(ids).logits, whole.model(ids).logits)
    assert eos_ids(lm) == (1, 7)
    save_language_model(lm, tmp_path / "text")
    with torch.no_grad():
        torch.testing.assert_close(load_language_model(tmp_path / "text").model(ids).logits, whole.model(ids).logits)


def test_the_outer_config_alone_ties_the_head_of_the_text_model(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Mistral3Config(
        text_config={"model_type": "mistral", **sizes, "num_key_value_heads": 2, "head_dim": 8}
        | {"vocab_size": len(tiny_lm.tokenizer), "pad_token_id": 0, "tie_word_embeddings": False},
        vision_config={"model_type": "pixtral", **sizes, "head_dim": 8, "image_size": 28, "patch_size": 14},
    )
    assert config.tie_word_embeddings
    whole = Mistral3ForConditionalGeneration(config).eval()
    save_language_model(LanguageModel(whole, tiny_lm.tokenizer), tmp_path / "m")
    ids = torch.tensor([[1, 70, 80]])
    with torch.no_grad():
        torch.testing.assert_close(load_language_model(tmp_path / "m").model(ids).logits, whole(ids).logits)


def test_a_text_model_that_cannot_be_taken_out_is_told(llama: Path) -> None:
    given = {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"}
    _edit(llama / "config.json", **given, text_config={"vocab_size": 258, "hidden_size": 16}, vision_config={})
    _refused(llama, "Qwen2_5_VLForConditionalGeneration, whose text model cannot be loaded without the rest")


def test_weights_of_the_text_model_have_to_be_there(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    _both(tiny_lm, tmp_path / "m")
    tensors = load_file(tmp_path / "m" / WEIGHTS)
    dropped = next(name for name in tensors if "language_model" in name and "mlp.up_proj" in name)
    save_file({name: of for name, of in tensors.items() if name != dropped}, tmp_path / "m" / WEIGHTS, {"format": "pt"})
    _refused(tmp_path / "m", r"1 missing, such as model\.layers\.\d\.mlp\.up_proj\.weight")


def _renamed(name: str, layout: str) -> str:
    inner = name.removeprefix("model.").replace("language_model.model.", "language_model.")
    if layout == "newer":
        return name if name.startswith("lm_head") else f"model.{inner}"
    return inner.replace("language_model.", "language_model.model.") if "language_model" in inner else inner
