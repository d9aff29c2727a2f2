"""A model that lies elsewhere: in another directory, or on the hub at a pinned revision."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from pydantic import BaseModel, ConfigDict, Field, model_validator
from transformers import AutoConfig, PretrainedConfig

from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.engines.adapter_files import adapter_digest, check_adapter, is_adapter, load_adapter, save_adapter
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import ModelFiles, check_model_directory, open_model, save_language_model
from cai_kedro.engines.weight_files import first_line, weights_digest

REFERENCE_FILE = "reference.json"
_SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja"]
_HUB_FILES = ["*.safetensors", *_SMALL_FILES]


class ModelReference(BaseModel):
    """A model that lies elsewhere: a directory, or a hub repository at one commit. Nothing is copied.

    `layout` is the one in which it is asked; `auto` takes what its directory says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    repo: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    layout: LayoutChoice = "auto"

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "ModelReference":
        if (self.path is None) == (self.repo is None):
            raise ValueError(f"a model reference needs either a path or a repo, got path={self.path}, repo={self.repo}")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("a repo needs a revision, the 40 hexadecimal digits of one commit; a path has none")
        return self

    def at(self, base: Path) -> "ModelReference":
        """Return the reference with an absolute path: `~` is the home directory, a relative one starts at `base`."""
        return self if self.path is None else self.model_copy(update={"path": str(base / _from_home(self.path))})

    def directory(self) -> Path:
        """Return the directory of the model, fetched first if it is on the hub; raises `ValueError` if incomplete."""
        directory = self.locate()
        if is_adapter(directory):
            check_adapter(directory, check_model, model_digest)
            return directory
        return check_model_directory(directory, self.layout)

    def whole_directory(self) -> Path:
        """Do the same for who reads no adapters; raises `ValueError` for one."""
        directory = self.directory()
        if is_adapter(directory):
            raise ValueError(
                f"{directory} is an adapter on another model, which an engine on a cluster does not read; take the "
                f"engine `transformers` or `vllm`, or give the whole model that `kedro export` writes"
            )
        return directory

    def load(self, device: str = "cpu") -> LanguageModel:
        """Return the model in its layout and in float32 on the device, fetched first if it is on the hub.

        Raises `ValueError` if it is incomplete.
        """
        directory = self.locate()
        if is_adapter(directory):
            lm = load_adapter(Path(os.path.abspath(directory)), load_model, model_digest)
            lm.model.to(torch.device(device))  # type: ignore[arg-type]
            return lm
        return open_model(directory, self.layout).load(device=device)

    def unloaded(self) -> ModelFiles | None:
        """Return the checked files, fetched first if it is on the hub; None for an adapter, which has two sets of them.

        Raises `ValueError` if they are incomplete.
        """
        directory = self.locate()
        return None if is_adapter(directory) else open_model(directory, self.layout)

    def config(self) -> PretrainedConfig:
        """Return the config alone, fetched first if it is on the hub; raises `ValueError` if there is none."""
        place = self.locate() if self.repo is None else self._fetch(_SMALL_FILES)
        try:
            config: PretrainedConfig = AutoConfig.from_pretrained(place, trust_remote_code=False)
        except Exception as error:
            raise ValueError(f"{place / 'config.json'} cannot be read ({first_line(error)}); fetch it again") from error
        return config

    def locate(self) -> Path:
        """Return the directory without looking into it, fetched first if it is on the hub.

        Raises `ValueError` where the hub cannot give it.
        """
        return _from_home(self.path) if self.path is not None else self._fetch(_HUB_FILES)

    def on_this_machine(self) -> Path | None:
        """Return the directory without looking into it, None for a model of the hub that was not fetched yet."""
        if self.repo is None:
            return self.locate()
        try:
            return Path(snapshot_download(self.repo, revision=self.revision, local_files_only=True))
        except OSError:  # a FileNotFoundError
            return None

    def check(self) -> None:
        """Check a directory, or fetch all but the weights from the hub; raises `ValueError` if that cannot be."""
        if self.repo is None:
            self.directory()
        else:
            self._fetch(_SMALL_FILES)

    def _fetch(self, patterns: list[str]) -> Path:
        assert self.repo is not None
        try:
            return Path(snapshot_download(self.repo, revision=self.revision, allow_patterns=patterns))
        except (OSError, HfHubHTTPError) as error:  # also what is offline and not there yet: a FileNotFoundError
            raise ValueError(
                f"the model {self.repo} at {self.revision} cannot be fetched from the hub ({first_line(error)}); "
                f"check network, name and HF_TOKEN, or copy it to this machine and use source: path"
            ) from error


def _from_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # `~name`, and no such user here
        raise ValueError(f"the path {path!r} starts in a home directory that is not known; write it in full") from error


def write_reference(reference: ModelReference, directory: Path) -> None:
    """Write where the model lies, in place of the model."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / REFERENCE_FILE).write_text(reference.model_dump_json(exclude_none=True, indent=2) + "\n")


def load_model(directory: Path, device: str = "cpu") -> LanguageModel:
    """Return the model of a directory, or the one that its reference points at; raises `ValueError` if incomplete."""
    return replace(_reference(directory).load(device), origin=Path(os.path.abspath(directory)))


def save_model(lm: LanguageModel, directory: Path) -> None:
    """Write a whole model, or the adapter of one that was trained as such, into a directory.

    Raises `ValueError` for weights that are not finite, and for an adapter whose backbone was never saved.
    """
    if lm.adapter is None:
        save_language_model(lm, directory)
    else:
        save_adapter(lm, directory, model_digest)


def check_model(directory: Path) -> None:
    """Raise `ValueError` unless the model of a directory, or the one that its reference points at, is complete."""
    reference_to(directory).directory()


def model_digest(directory: Path) -> str:
    """Return the sha256 of the weights that lie in a directory or where its reference points (`weights_digest`).

    That of an adapter says what it belongs on, too. A large model is read once, as long as its files stay as they are.
    """
    place = reference_to(directory).locate()
    if is_adapter(place):
        return adapter_digest(place, model_digest)
    files = [(file.name, *_seen(file)) for file in sorted(place.iterdir())]
    return _digest_of(place, tuple(files))


def _seen(file: Path) -> tuple[int, int, int]:
    state = file.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


@cache
def _digest_of(directory: Path, _: tuple[tuple[str, int, int, int], ...]) -> str:
    return weights_digest(directory)


def unloaded_model(directory: Path) -> ModelFiles | None:
    """Return the checked files of what `load_model` loads, None for an adapter."""
    return _reference(directory).unloaded()


def _reference(directory: Path) -> ModelReference:
    file = directory / REFERENCE_FILE
    if file.is_file():
        return ModelReference.model_validate_json(file.read_text())
    return ModelReference(path=str(directory))


def reference_to(directory: Path) -> ModelReference:
    """Return the reference that lies in a directory, else one to the directory: what another machine needs to know."""
    reference = _reference(directory)
    path = reference.path
    return reference if path is None else reference.model_copy(update={"path": str(Path(path).resolve())})
