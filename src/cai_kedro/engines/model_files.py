"""Models on disk in Hugging Face's format: check a directory, read it, write it.

Only safetensors, never code from a repository.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from cai_kedro.core.finite import check_weights
from cai_kedro.core.layouts.base import Layout, LayoutChoice
from cai_kedro.core.strict_files import json_object
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.layout_files import layout_of, read_layout, write_layout
from cai_kedro.engines.tokenizer_files import fit_embeddings, forget_padding_beyond, read_tokenizer
from cai_kedro.engines.weight_files import (
    INDEX,
    SINGLE,
    check_fit,
    check_report,
    embedding_rows,
    first_line,
    on_meta,
    weight_files,
)

WEIGHTS = (SINGLE, INDEX)
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
#: Small files that decide how a model answers; libraries read some of them without a word on what is wrong.
_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class ModelFiles:
    """A model directory that was checked, with its tokenizer and layout; the weights are still on the disk.

    `renamed` maps names in the files (patterns) to names in the model: the text model inside a model of several kinds.
    """

    directory: Path
    kind: Any
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    layout: Layout
    renamed: dict[str, str] = field(default_factory=dict)

    def load(self, dtype: Literal["float32", "bfloat16"] = "float32", device: str = "cpu") -> LanguageModel:
        """Read the weights one by one, each in `dtype` and onto the device: there is never a second copy of the model.

        What a family keeps in float32 stays so. Raises `ValueError` for weights that are not finite.
        """
        model, report = self.kind.from_pretrained(
            self.directory,
            config=self.config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **({} if device == "cpu" else {"device_map": {"": device}}),
            **({"key_mapping": self.renamed} if self.renamed else {}),
        )
        vars(model).pop("hf_device_map", None)  # by which a trainer would take it for a model on several devices
        if self.renamed:  # the rest of a model of several kinds is left out, and its names are not written again
            report["unexpected_keys"] = set()
            model._weight_conversions = None
        check_report(self.directory, report)
        check_weights(f"the model in {self.directory}", model.named_parameters(), "fetch it again, or train it anew")
        fit_embeddings(model, self.tokenizer)
        origin = Path(os.path.abspath(self.directory))
        return LanguageModel(model.eval(), self.tokenizer, self.layout, origin=origin)


def check_model_directory(directory: Path, layout: LayoutChoice = "auto") -> Path:
    """Return the directory if it holds config, tokenizer and all weights that the config asks for, as safetensors.

    Nothing is loaded: names and shapes come from the headers of the weights. Raises `ValueError` with what is wrong.
    """
    open_model(directory, layout)
    return directory


def load_tokenizer(directory: Path, layout: LayoutChoice = "auto") -> tuple[PreTrainedTokenizerBase, Layout]:
    """Return tokenizer and layout as `load_language_model` does; raises `ValueError` for an incomplete directory."""
    files = open_model(directory, layout)
    return files.tokenizer, files.layout


def load_language_model(directory: Path, layout: LayoutChoice = "auto", device: str = "cpu") -> LanguageModel:
    """Read model and tokenizer in float32, as trainings need it; raises `ValueError` as `open_model` and `load` do."""
    return open_model(directory, layout).load(device=device)


def skeleton(directory: Path) -> PreTrainedModel:
    """Return the model of a directory without values, from its config alone; raises `ValueError` as loading does."""
    kind, config, _ = _architecture(directory, _read_config(directory))
    with torch.device("meta"):
        model: PreTrainedModel = kind.from_config(config)
    return model


def open_model(directory: Path, wanted: LayoutChoice = "auto") -> ModelFiles:
    """Check a directory: a preference model or a causal LM, as the config's architecture says. No weights are read.

    Of a model of text and images the text model is taken. What a tokenizer lacks (padding) is added: `tokenizer_files`.
    With `auto` the layout is the one that the directory names, else the one of the tokenizer's chat template
    (`layout_files`). Raises `ValueError` for an incomplete directory or another architecture.
    """
    _check_files(directory)
    for name in _SETTINGS:
        if (directory / name).is_file():
            json_object(directory / name)
    tensors = on_meta(weight_files(directory))
    whole = _read_config(directory)
    kind, config, renamed = _architecture(directory, whole)
    if renamed:
        tensors = {name: shape for name, shape in tensors.items() if _is_text(name)}
        # of the inner and the outer config, the outer one says whether the head is the embeddings
        if whole.tie_word_embeddings and not any(name.endswith("lm_head.weight") for name in tensors):
            config.tie_word_embeddings = True
    with torch.device("meta"):
        try:
            own = type(kind.from_config(config))
        except Exception as error:
            raise ValueError(
                f"{directory / 'config.json'} describes no model that can be built ({first_line(error)}); correct it"
            ) from error
    model = check_fit(directory, own, config, tensors, renamed)
    tokenizer = read_tokenizer(directory, config, read_generation_config(directory), embedding_rows(model))
    layout = layout_of(tokenizer, read_layout(directory) if wanted == "auto" else wanted, directory)
    return ModelFiles(directory, kind, config, tokenizer, layout, renamed)


def _check_files(directory: Path) -> None:
    if not directory.is_dir():
        raise ValueError(
            f"there is no model directory {directory}; expected config.json, weights and a tokenizer in it"
        )
    found = sorted(item.name for item in directory.iterdir())
    missing = [
        told
        for told, names in (
            ("config.json", ("config.json",)),
            (f"weights ({' or '.join(WEIGHTS)})", WEIGHTS),
            (f"a tokenizer ({' or '.join(TOKENIZERS)})", TOKENIZERS),
        )
        if not any((directory / name).is_file() for name in names)
    ]
    if _ADAPTER in found:
        whole = "an adapter beside a whole model, and it is not clear which is meant" if not missing else "an adapter"
        raise ValueError(
            f"{directory} holds {whole} ({_ADAPTER}); merge the adapter into its base (peft: merge_and_unload), save "
            f"that with save_pretrained into a directory of its own, and give that"
        )
    if missing:
        raise ValueError(
            f"the model directory {directory} misses {'; '.join(missing)}; it holds {', '.join(found) or 'nothing'}. "
            f"Write one with save_pretrained of model and tokenizer (safetensors), or correct the path"
        )


def _read_config(directory: Path) -> PretrainedConfig:
    file = directory / "config.json"
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    except Exception as error:
        raise ValueError(f"{file} cannot be read ({first_line(error)}); correct it or fetch it again") from error
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(f"{file} names quantised weights, which cannot be trained; give the model as it was before")
    forget_padding_beyond(file, config)
    return config


def read_generation_config(directory: Path) -> GenerationConfig | None:
    """Return what the directory says about generation, None if nothing; raises `ValueError` if it cannot be read."""
    file = directory / "generation_config.json"
    if not file.is_file():
        return None
    try:
        return GenerationConfig(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} cannot be read ({error}); correct it or remove it") from error


def _architecture(directory: Path, config: PretrainedConfig) -> tuple[Any, PretrainedConfig, dict[str, str]]:
    """Return the class that loads the model, its config, and how names of weights change (patterns)."""
    architecture = (config.architectures or ["none"])[0]
    if architecture.endswith("ForSequenceClassification"):
        return AutoModelForSequenceClassification, config, {}
    text = config.get_text_config(decoder=True)
    if architecture.endswith("ForConditionalGeneration") and not config.is_encoder_decoder and text is not config:
        if type(text) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ValueError(
                f"{directory / 'config.json'} names the architecture {architecture}, whose text model cannot be loaded "
                f"without the rest of it; give a model of text alone (…ForCausalLM)"
            )
        if text.architectures is None:
            text.architectures = [architecture.replace("ForConditionalGeneration", "ForCausalLM")]
        text.eos_token_id = getattr(config, "eos_token_id", None) or text.eos_token_id
        return AutoModelForCausalLM, text, _TEXT_MODEL
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return AutoModelForCausalLM, config, {}
    raise ValueError(
        f"{directory / 'config.json'} names the architecture {architecture}; expected a causal LM (…ForCausalLM, or "
        f"the text model in a …ForConditionalGeneration that is no encoder-decoder) or a preference model "
        f"(…ForSequenceClassification)"
    )


#: Where models of text and images keep the text model: older files, then newer ones.
_TEXT_MODEL = {
    r"^language_model\.model\.": "model.",
    r"^language_model\.lm_head\.": "lm_head.",
    r"^model\.language_model\.": "model.",
}


def _is_text(name: str) -> bool:
    return "language_model." in name or name.startswith("lm_head.")


def save_language_model(lm: LanguageModel, directory: Path) -> None:
    """Write model (safetensors), tokenizer and layout into a directory; `ValueError` for weights that are not finite.

    The chat template beside the weights is that of the layout, so that other programs ask as we do.
    """
    check_weights(f"the model for {directory}", lm.model.named_parameters(), "make it again with a lower learning rate")
    directory.mkdir(parents=True, exist_ok=True)
    lm.model.save_pretrained(directory)
    lm.tokenizer.chat_template = lm.layout.template
    lm.tokenizer.save_pretrained(directory)
    write_layout(lm.layout, directory)
