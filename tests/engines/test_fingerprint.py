"""A fingerprint changes with all that changes answers, and with nothing else; for both kinds of engines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cai_kedro.engines.fingerprint import directory_fingerprint, model_fingerprint
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, load_tokenizer, save_language_model
from tests.engines.families import family_model


def _of_model(directory: Path) -> str:
    lm = load_language_model(directory)
    return model_fingerprint(lm.model, lm.tokenizer, lm.layout)


def _of_directory(directory: Path) -> str:
    return directory_fingerprint(directory, *load_tokenizer(directory), "float32")


@pytest.fixture(params=[_of_model, _of_directory], ids=["loaded", "directory"])
def fingerprint(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    kind: Callable[[Path], str] = request.param
    return kind


def _edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("family", "file", "values"),
    [
        ("llama", "config.json", {"rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}}),
        ("llama", "config.json", {"rms_norm_eps": 0.1}),
        ("llama", "config.json", {"max_position_embeddings": 100}),
        ("gemma2", "config.json", {"final_logit_softcapping": 30.0}),
        ("mistral", "config.json", {"sliding_window": 8}),
        ("llama", "generation_config.json", {"eos_token_id": [1, 7]}),
        ("llama", "tokenizer_config.json", {"bos_token": "a"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_changes_answers(
    fingerprint: Callable[[Path], str],
    tiny_lm: LanguageModel,
    tmp_path: Path,
    family: str,
    file: str,
    values: dict[str, Any],
) -> None:
    model = family_model(family, len(tiny_lm.tokenizer))
    save_language_model(LanguageModel(model, tiny_lm.tokenizer), tmp_path)
    before = fingerprint(tmp_path)
    _edit(tmp_path / file, **values)
    assert fingerprint(tmp_path) != before


TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{{ '<assistant>' }}"


def test_a_chat_template(fingerprint: Callable[[Path], str], tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path)
    prints = [fingerprint(tmp_path)]
    (tmp_path / "layout.json").write_text('{"layout": "chat"}')
    prints.append(fingerprint(tmp_path))
    for template in (TEMPLATE, TEMPLATE.upper().replace("%} ", "%}").lower() + "!"):
        (tmp_path / "chat_template.jinja").write_text(template)
        prints.append(fingerprint(tmp_path))
    assert len(set(prints)) == 4
    # a template that the layout does not use changes no answer
    (tmp_path / "layout.json").write_text('{"layout": "hh"}')
    assert fingerprint(tmp_path) == prints[0]


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"transformers_version": "4.0.0", "_name_or_path": "elsewhere", "use_cache": False}),
        ("config.json", {"dtype": "bfloat16", "torch_dtype": "bfloat16"}),
        ("generation_config.json", {"temperature": 0.3, "do_sample": True, "transformers_version": "4.0.0"}),
    ],
)
def test_what_changes_none(
    fingerprint: Callable[[Path], str], tiny_lm: LanguageModel, tmp_path: Path, file: str, values: dict[str, Any]
) -> None:
    save_language_model(tiny_lm, tmp_path)
    before = fingerprint(tmp_path)
    _edit(tmp_path / file, **values)
    assert fingerprint(tmp_path) == before
