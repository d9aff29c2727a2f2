"""The adapter of the package: the command that puts it there, and that the code is still the one that made it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cai_kedro.engines.adapted_model import AdaptedModel
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.englishworld import shipped
from cai_kedro.englishworld.shipped import MOST_BYTES, code_digest, fingerprint, ship, shipped_adapter
from tests.engines.test_adapter_files import adapter_on
from tests.models.test_adapters import assert_close, logits

CURVES = pd.DataFrame({"step": [1], "metric": ["loss"], "value": [0.5]})
SKILLS = pd.DataFrame(
    {
        "step": [0, 9, 9],
        "set": "free",
        "skill": "pairs.less",
        "part": ["all", "all", "harmful"],
        "figure": "accuracy",
        "value": [0.5, 0.9, 0.8],
        "low": [0.4, 0.8, 0.7],
        "high": [0.6, 0.95, 0.9],
        "n": [212, 212, 90],
    }
)
PARAMS = {"lessons": {"count": 3}}


def test_what_is_shipped_works_without_the_folder_that_it_was_trained_in(
    tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    expected = adapter_on(tmp_path / "base", tmp_path / "taught")
    target = ship(tmp_path / "taught", CURVES, SKILLS, PARAMS, 3, "tiny.gguf of tiny==1.0", tmp_path / "package")
    assert sorted(path.name for path in target.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "backbone.json",
        "fingerprint.json",
        "skills.csv",
        "training_log.csv",
    ]
    backbone = json.loads((target / "backbone.json").read_text())
    assert backbone["name"] == "tiny.gguf of tiny==1.0"
    assert "path" not in backbone
    model = AdaptedModel(ModelReference(path=str(tmp_path / "base")), target)
    assert_close(logits(model.load()), expected)
    told = json.loads((target / "fingerprint.json").read_text())
    assert told == fingerprint(PARAMS, 3, target)
    assert told["code"] == code_digest()
    card = (target / "README.md").read_text(encoding="utf-8")
    assert "LoRA on tiny.gguf of tiny==1.0" in card
    assert "| free | pairs.less | accuracy | 212 | 0.50 [0.40, 0.60] | 0.90 [0.80, 0.95] |" in card


def test_what_is_too_large_for_a_package_is_refused(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    adapter_on(tmp_path / "base", tmp_path / "taught")
    monkeypatch.setattr(shipped, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"MB, and the package takes .*; lower teach_skills\.teaching\.training\.lora"):
        ship(tmp_path / "taught", CURVES, SKILLS, PARAMS, 3, "tiny", tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_the_code_that_reads_lessons_back_is_no_part_of_the_digest() -> None:
    world = Path(shipped.__file__).parent
    assert all((world / name).is_file() for name in shipped._READERS), "a file that is not there says nothing"
    assert all((world.parent / name).is_file() for name in shipped._SOURCES)


def test_the_shipped_adapter_is_that_of_the_code() -> None:
    told = json.loads((shipped_adapter() / "fingerprint.json").read_text(encoding="utf-8"))
    assert told == fingerprint(told["params"], told["seed"], shipped_adapter())
    assert (shipped_adapter() / "adapter_model.safetensors").stat().st_size <= MOST_BYTES
