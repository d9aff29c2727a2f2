"""The layout that a run's models are asked in is a parameter, and travels with the reference to the model."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import Version

from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.hooks.preflight_checks import model_faults
from cai_kedro.pipelines.base_model.nodes import BaseModelParams, provide_pretrained
from tests.chat_models import chat_model, save_as_hub_gives

CONF = Path(__file__).parents[2] / "conf" / "base" / "parameters_base_model.yml"


def params(**changed: Any) -> BaseModelParams:
    shipped = yaml.safe_load(CONF.read_text(encoding="utf-8"))["base_model"]
    return BaseModelParams.model_validate({**shipped, "checkpoints": None, **changed})


@pytest.mark.parametrize(("layout", "kind"), [("auto", "chat"), ("chat", "chat"), ("hh", "hh")])
def test_a_run_asks_its_model_in_the_layout_of_the_parameter(tmp_path: Path, layout: str, kind: str) -> None:
    save_as_hub_gives(chat_model("chatml"), str(tmp_path / "mine"))
    given, _ = provide_pretrained(params(source="path", path=str(tmp_path / "mine"), layout=layout), 0)
    checkpoint = ModelCheckpointDataset(filepath=tmp_path / "pretrained", version=Version(None, None))
    checkpoint.save(given)
    lm = checkpoint.load()
    assert lm.layout.kind == kind
    local = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 512}
    engine = EngineDataset(engine=local, filepath=tmp_path / "pretrained", version=Version(None, None)).load()
    assert engine.layout.digest == lm.layout.digest
    # what is trained from it and saved keeps it, whatever its directory looks like to `auto`
    tuned = ModelCheckpointDataset(filepath=tmp_path / "tuned", version=Version(None, None))
    tuned.save(lm)
    assert tuned.load().layout.digest == lm.layout.digest


def test_the_micro_lm_has_no_chat_template() -> None:
    with pytest.raises(ValueError, match=r"base_model\.layout is `chat`, but the micro LM reads the layout `hh`"):
        params(source="shipped", layout="chat")


def test_a_layout_that_cannot_be_is_told_before_the_run(tmp_path: Path) -> None:
    lm = chat_model("turns")
    lm.tokenizer.chat_template = None
    save_as_hub_gives(lm, str(tmp_path / "bare"))
    source = {"source": "path", "path": "bare"}
    assert list(model_faults({**source, "layout": "auto"}, tmp_path)) == []
    (fault,) = model_faults({**source, "layout": "chat"}, tmp_path)
    assert fault.startswith("base_model.path: the tokenizer in ")
    assert "has no chat template" in fault
    assert "set base_model.layout to hh" in fault
