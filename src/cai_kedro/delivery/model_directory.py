"""A policy as a plain directory in Hugging Face's format, which answers elsewhere as it does here.

What this project knows of a model beside its weights goes to where other programs look for it: the layout into the chat
template, the tokens that end a turn and the sampling into the generation config.
"""

from pathlib import Path

import torch
from transformers import GenerationConfig

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.layout_files import write_layout
from cai_kedro.engines.prompt_ids import prompt_ids

#: Written by the template of an exported model, and compared with what training wrote.
PROBE = (user("Say it."), user("  What is 7 + 5?\nAnd why?"))


def write_model_directory(lm: LanguageModel, directory: Path, sampling: Sampling) -> None:
    """Write weights in bfloat16 (safetensors), tokenizer with chat template, configs and layout.

    The model is changed in place: load one for this. Raises `ValueError` for a model that writes no text, and where the
    chat template would give other tokens than training read.
    """
    if not lm.model.can_generate():
        raise ValueError(f"{type(lm.model).__name__} writes no text; only policies are exported")
    to_bfloat16(lm.model)
    lm.model.generation_config = generation_config(lm, sampling)
    lm.tokenizer.chat_template = chat_template(lm)
    lm.tokenizer.padding_side = "left"
    check_template(lm)
    directory.mkdir(parents=True, exist_ok=True)
    lm.model.save_pretrained(directory)
    lm.tokenizer.save_pretrained(directory)
    write_layout(lm.layout, directory)


def to_bfloat16(model: torch.nn.Module) -> None:
    """Round the weights, in place; buffers keep their precision, rotary frequencies would shift positions."""
    for weights in model.parameters():
        weights.data = weights.data.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16


def generation_config(lm: LanguageModel, sampling: Sampling) -> GenerationConfig:
    """Return how the evaluation of a run samples, with all tokens that end an answer.

    Stop strings are left out: `generate` refuses a config with some unless it is given the tokenizer, which
    `pipeline("text-generation")` does not do.
    """
    drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return GenerationConfig(
        **(drawn if sampling.temperature > 0 else {"do_sample": False}),
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=list(eos_ids(lm)),
        pad_token_id=lm.tokenizer.pad_token_id,
        bos_token_id=lm.tokenizer.bos_token_id,
    )


def chat_template(lm: LanguageModel) -> str:
    """Return the layout as a chat template, BOS included where the layout has it in front of a prompt."""
    bos = lm.layout.bos and lm.tokenizer.bos_token_id is not None
    return ("{{ bos_token }}" if bos else "") + lm.layout.template


def check_template(lm: LanguageModel) -> None:
    """Raise `ValueError` where the tokenizer's chat template gives other tokens than the model's layout."""
    for turn in PROBE:
        ours = prompt_ids(lm.tokenizer, lm.layout, [Reply((turn,))])[0]
        theirs = lm.tokenizer.apply_chat_template(
            [{"role": turn["role"], "content": turn["content"]}], add_generation_prompt=True, return_dict=False
        )
        if ours != list(theirs):
            place = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), "the end")
            raise ValueError(
                f"the chat template of the tokenizer gives other tokens than the model was trained on, from token "
                f"{place} on, for {turn['content']!r}: the model would answer worse elsewhere than here; nothing was "
                f"written. Please tell us of this model"
            )
