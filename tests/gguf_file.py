"""Models as GGUF files: the shipped micro LM, so that llama.cpp can serve it, and tiny ones to be read."""

import json
from pathlib import Path

import gguf
import gguf.quants
import numpy as np

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.microworld.shipped import shipped_directory


def write_micro_lm(path: Path) -> None:
    """Write weights (float32) and tokenizer.

    llama.cpp knows the regular expressions of known tokenizers only, so its BPE cannot split our texts. Its
    SentencePiece tokenizer needs none: it joins neighbours in the order of their scores. With minus the rank of a merge
    as score that is our BPE, since no token of ours crosses a word.
    """
    lm = load_language_model(shipped_directory())
    config = lm.model.config
    writer = gguf.GGUFWriter(path, "llama")
    _add_sizes(writer, config)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, lm.tokenizer)
    for name, weights in lm.model.state_dict().items():
        if name != "lm_head.weight":  # tied to the embeddings
            writer.add_tensor(_tensor_name(name), _rotated(name, weights.float().numpy(), config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_sizes(writer: gguf.GGUFWriter, config: object) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)


def _tensor_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.split(".", 3)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    return f"blk.{layer}.{names[part.removesuffix('.weight')]}.weight"


def _rotated(name: str, weights: np.ndarray, config: object) -> np.ndarray:
    """Reorder the rows of queries and keys: llama.cpp rotates neighbours, transformers the two halves of a head."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for part, n in heads.items():
        if part in name:
            halves = weights.reshape(n, 2, config.head_dim // 2, -1)
            return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))
    return weights


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: object) -> None:
    byte_of = _byte_of_character()
    ranks = {"".join(pair): rank for rank, pair in enumerate(_merges(tokenizer))}
    tokens, scores, types = [], [], []
    for token, i in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        spelt = b"" if i in tokenizer.all_special_ids else bytes(byte_of[char] for char in token)
        if i in tokenizer.all_special_ids:
            text, kind = token, gguf.TokenType.CONTROL
        elif len(spelt) == 1 and not spelt.isascii():
            text, kind = f"<0x{spelt[0]:02X}>", gguf.TokenType.BYTE
        else:
            text, kind = spelt.decode("utf-8", errors="replace").replace(" ", "\u2581"), gguf.TokenType.NORMAL
        tokens.append(text)
        scores.append(-float(ranks.get(token, 0)))
        types.append(kind)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)


def _merges(tokenizer: object) -> list[list[str]]:
    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]


def _byte_of_character() -> dict[str, int]:
    """Undo the byte-level alphabet: printable bytes stand for themselves, the others for characters from 256 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + place): byte for place, byte in enumerate(rest)}}


def write_byte_level(lm: LanguageModel, path: Path, chat_template: str) -> None:
    """Write a Llama with a byte-level tokenizer without merges, in blocks of 8 bits where a row is long enough."""
    config, tokenizer = lm.model.config, lm.tokenizer
    writer = gguf.GGUFWriter(path, "llama")
    _add_sizes(writer, config)
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)  # or transformers adds one
    writer.add_pad_token_id(tokenizer.eos_token_id)  # as in many files: padding is the end
    writer.add_chat_template(chat_template)
    for name, weights in lm.model.state_dict().items():
        if name == "lm_head.weight":  # tied to the embeddings
            continue
        values = _rotated(name, weights.float().numpy(), config)
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(_tensor_name(name), blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(_tensor_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
