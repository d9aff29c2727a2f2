"""Models on disk in Hugging Face's format: check a directory, read it, write it, or point at one.

Only safetensors, only pinned revisions, never code from a repository.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from cai_kedro.core.conversation import HH_CHAT_TEMPLATE
from cai_kedro.core.finite import check_weights
from cai_kedro.engines.language_model import LanguageModel

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
REFERENCE_FILE = "reference.json"
_HUB_FILES = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]


class ModelReference(BaseModel):
    """A model that lies elsewhere: a directory, or a hub repository at one commit. Nothing is copied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    repo: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "ModelReference":
        if (self.path is None) == (self.repo is None):
            raise ValueError(f"a model reference needs either a path or a repo, got path={self.path}, repo={self.repo}")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("a repo needs a revision, the 40 hexadecimal digits of one commit; a path has none")
        return self

    def directory(self) -> Path:
        """Return the directory of the model, fetched first if it is on the hub; raises `ValueError` if incomplete."""
        if self.path is not None:
            return check_model_directory(Path(self.path))
        assert self.repo is not None
        fetched = snapshot_download(self.repo, revision=self.revision, allow_patterns=_HUB_FILES)
        return check_model_directory(Path(fetched))


def check_model_directory(directory: Path) -> Path:
    """Return the directory if it holds config, whole safetensors weights and tokenizer; else raise `ValueError`."""
    if not directory.is_dir():
        raise ValueError(
            f"there is no model directory {directory}; expected config.json, weights and a tokenizer in it"
        )
    missing = [
        told
        for told, names in (
            ("config.json", ("config.json",)),
            (f"weights ({' or '.join(WEIGHTS)})", WEIGHTS),
            (f"a tokenizer ({' or '.join(TOKENIZERS)})", TOKENIZERS),
        )
        if not any((directory / name).is_file() for name in names)
    ]
    if missing:
        found = ", ".join(sorted(item.name for item in directory.iterdir())) or "nothing"
        raise ValueError(
            f"the model directory {directory} misses {'; '.join(missing)}; it holds {found}. "
            f"Write one with save_pretrained of model and tokenizer (safetensors), or correct the path"
        )
    for weights in sorted(directory.glob("*.safetensors")):
        _check_whole(weights)
    return directory


def _check_whole(weights: Path) -> None:
    """Raise `ValueError` unless the file is as long as its header says; no weights are read."""
    try:
        with safe_open(weights, framework="pt"):
            pass
    except SafetensorError as error:
        raise ValueError(
            f"the weights {weights} are cut off or damaged ({error}): remove this model and make or fetch it again"
        ) from error


def load_language_model(directory: Path) -> LanguageModel:
    """Read model and tokenizer in float32: a preference model or a causal LM, as the config's architecture says.

    A tokenizer without a chat template gets the Human/Assistant one, a tokenizer without padding pads with its end
    of sequence. Raises `ValueError` for an incomplete directory or another architecture.
    """
    check_model_directory(directory)
    config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    architecture = (config.architectures or ["none"])[0]
    if architecture.endswith("ForSequenceClassification"):
        kind: Any = AutoModelForSequenceClassification
    elif architecture.endswith(("ForCausalLM", "LMHeadModel")):
        kind = AutoModelForCausalLM
    else:
        raise ValueError(
            f"{directory / 'config.json'} names the architecture {architecture}; expected a causal LM "
            f"(…ForCausalLM) or a preference model (…ForSequenceClassification)"
        )
    model = kind.from_pretrained(
        directory, config=config, dtype="float32", use_safetensors=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = HH_CHAT_TEMPLATE
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LanguageModel(model=model.eval(), tokenizer=tokenizer)


def save_language_model(lm: LanguageModel, directory: Path) -> None:
    """Write model (safetensors) and tokenizer into a directory; raises `ValueError` for weights that are not finite."""
    check_weights(f"the model for {directory}", lm.model.named_parameters(), "make it again with a lower learning rate")
    directory.mkdir(parents=True, exist_ok=True)
    lm.model.save_pretrained(directory)
    lm.tokenizer.save_pretrained(directory)


def write_reference(reference: ModelReference, directory: Path) -> None:
    """Write where the model lies, in place of the model."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / REFERENCE_FILE).write_text(reference.model_dump_json(exclude_none=True, indent=2) + "\n")


def resolve_directory(directory: Path) -> Path:
    """Return the directory itself, or the one that its reference points at."""
    file = directory / REFERENCE_FILE
    return ModelReference.model_validate_json(file.read_text()).directory() if file.is_file() else directory


def reference_to(directory: Path) -> ModelReference:
    """Return the reference that lies in a directory, else one to the directory: what another machine needs to know."""
    file = directory / REFERENCE_FILE
    if not file.is_file():
        return ModelReference(path=str(directory.resolve()))
    reference = ModelReference.model_validate_json(file.read_text())
    return reference if reference.path is None else ModelReference(path=str(Path(reference.path).resolve()))


def weights_digest(directory: Path) -> str:
    """Return the sha256 of names, types, shapes and values of all weights of a directory, without loading the model.

    Copies of a model share it, however their weights are split into files. Another number type is another digest.
    """
    digest = hashlib.sha256()
    where: dict[str, Path] = {}
    for file in sorted(directory.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            where |= dict.fromkeys(tensors.keys(), file)
    for name, file in sorted(where.items()):
        with safe_open(file, framework="pt") as tensors:
            weights = tensors.get_tensor(name)
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
