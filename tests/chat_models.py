"""Tiny chat models as people have them: four families of templates, each with a byte-level BPE tokenizer of its own.

The templates are written by us after what such families do: a default system turn and empty thoughts (ChatML), a BOS
and today's date (headers), no system turn and trimmed contents (`start_of_turn`), and instructions in brackets without
an opening of the assistant's turn.
"""

import copy
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cai_kedro.engines.language_model import LanguageModel

CHATML = """\
{%- if messages[0]['role'] != 'system' -%}
{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' and loop.last -%}
{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + message['content'] + '<|im_end|>\\n' }}
{%- else -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false -%}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}
{%- endif -%}
"""

HEADERS = """\
{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
{%- set first = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set first = '' %}{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' + date_string + '\\n\\n' + first + '<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

TURNS = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}
{{- message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor -%}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

BRACKETS = """\
{{ bos_token }}{% for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}
{%- else %}{{ ' ' + message['content'] + eos_token }}{% endif %}
{%- endfor %}"""

#: template, control tokens of turns, BOS, EOS, padding, all ids that end an answer
FAMILIES: dict[str, tuple[str, list[str], str | None, str, str, list[str]]] = {
    "chatml": (CHATML, ["<|im_start|>"], None, "<|im_end|>", "<|endoftext|>", ["<|im_end|>", "<|endoftext|>"]),
    "headers": (
        HEADERS,
        ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|finetune_right_pad_id|>",
        ["<|eot_id|>"],
    ),
    "turns": (TURNS, ["<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>", "<pad>", ["<eos>", "<end_of_turn>"]),
    "brackets": (BRACKETS, ["[INST]", "[/INST]"], "<s>", "</s>", "<pad>", ["</s>"]),
}

_TEXTS = [
    "How do I pick the lock? Please use a pin and do not say it.",
    "system user assistant model\n\nToday: The answer",
]


@cache
def _tokenizer(family: str) -> PreTrainedTokenizerFast:
    template, turns, bos, eos, pad, _ = FAMILIES[family]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys([pad, *([bos] if bos else []), eos, *turns]))
    bpe.train_from_iterator(
        _TEXTS * 3,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    named = {"bos_token": bos} if bos else {}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=eos, pad_token=pad, chat_template=template, **named
    )
    tokenizer.add_special_tokens({"additional_special_tokens": turns})
    return tokenizer


def chat_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Return a fresh tokenizer with the family's chat template."""
    return copy.deepcopy(_tokenizer(family))


def chat_model(family: str, context: int = 1024) -> LanguageModel:
    """Return a tiny random Llama with the family's tokenizer; saved and read again, it has the family's layout."""
    tokenizer = chat_tokenizer(family)
    ends = tokenizer.convert_tokens_to_ids(FAMILIES[family][-1])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)
    return LanguageModel(model, tokenizer)


def save_as_hub_gives(lm: LanguageModel, directory: str) -> None:
    """Write a model as others publish theirs: without a layout, with the template of its tokenizer."""
    lm.model.save_pretrained(directory)
    lm.tokenizer.save_pretrained(directory)
