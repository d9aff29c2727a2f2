"""One helper decides by device, and parameters refuse what they do not know."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaForCausalLM
from trl import RewardConfig, SFTConfig

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.sft import SFTParams
from cai_kedro.learning.trainer_run import curves, on_loan
from cai_kedro.learning.training_arguments import device_flags, training_flags

VALUES: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "warmup_steps": 3,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 64,
    "log_every": 5,
}


@pytest.mark.parametrize("config", [SFTConfig, RewardConfig])
def test_flags_on_a_cpu(config: type[SFTConfig] | type[RewardConfig], tmp_path: Path) -> None:
    args = config(output_dir=str(tmp_path), **training_flags(SFTParams(**VALUES), seed=2**40 + 7))
    assert args.use_cpu
    assert args.device == torch.device("cpu")
    assert args.bf16 is False
    assert args.gradient_checkpointing is False
    assert args.report_to == []
    assert args.disable_tqdm
    assert args.save_strategy == "no"
    assert args.seed == 7
    assert (args.num_train_epochs, args.per_device_train_batch_size, args.warmup_steps) == (2, 8, 3)


def test_flags_on_a_gpu() -> None:
    flags = device_flags("cuda", "bfloat16", seed=1)
    assert not flags["use_cpu"]
    assert flags["bf16"]
    assert flags["activation_checkpointing"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dtype": "float8"}, "dtype"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rte": 1e-3}, "learning_rte"),
        ({"batch_size": "many"}, "batch_size"),
    ],
)
def test_wrong_parameters_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SFTParams(**{**VALUES, **change})


def test_no_parameter_has_a_default() -> None:
    for name in VALUES:
        with pytest.raises(ValidationError, match=name):
            SFTParams(**{key: value for key, value in VALUES.items() if key != name})


def test_a_model_on_loan_comes_back_plain(tiny_lm: LanguageModel) -> None:
    model, kernel = tiny_lm.model, tiny_lm.model.config._attn_implementation
    with pytest.raises(RuntimeError, match="stop"), on_loan(model, "eager") as scratch:  # noqa: PT012
        assert Path(scratch).is_dir()
        assert model.config._attn_implementation == "eager"
        model.train()
        model.forward = lambda: None
        raise RuntimeError("stop")
    assert not Path(scratch).exists()
    assert model.config._attn_implementation == kernel
    assert "forward" not in vars(model)
    assert isinstance(model, LlamaForCausalLM)
    assert not model.training


def test_curves_are_long_and_without_times() -> None:
    log = [
        {"loss": 0.7, "accuracy": 0.5, "step": 1},
        {"loss": 0.6, "step": 5},
        {"train_runtime": 3.2, "step": 9},
    ]
    table = curves(log, ["loss", "accuracy"])
    assert table.values.tolist() == [[1, "loss", 0.7], [1, "accuracy", 0.5], [5, "loss", 0.6]]
    assert curves([], ["loss"]).empty
