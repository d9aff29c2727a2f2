"""A stand-in for the part of vLLM that samples from a policy in training: a real model, read from files.

It refuses what vLLM refuses: requests while it sleeps, adapters and prompts that it has no room for.
"""

import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.stopping import StopStrings, token_texts


@dataclass
class SamplingParams:
    """The fields of vLLM's class that are set."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


class LLM:
    """Samples with the same random numbers as this project does, so that replies can be compared."""

    made: "list[LLM]" = []  # noqa: RUF012

    def __init__(self, model: str, **settings: Any) -> None:
        self.settings, self.awake = settings, True
        lm = load_language_model(Path(model))
        self.model, self.tokenizer = lm.model, lm.tokenizer
        self.reloads: list[str] = []
        self.requests: list[LoRARequest | None] = []
        LLM.made.append(self)

    def sleep(self, level: int) -> None:
        assert (level, self.awake) == (1, True)
        assert self.settings["enable_sleep_mode"]
        self.awake = False

    def wake_up(self) -> None:
        self.awake = True

    def collective_rpc(self, method: str, kwargs: dict[str, str]) -> None:
        assert (method, self.awake) == ("reload_weights", True)
        self.model = AutoModelForCausalLM.from_pretrained(kwargs["weights_path"], dtype="float32").eval()
        self.reloads.append(kwargs["weights_path"])

    def reset_prefix_cache(self) -> None:
        assert self.awake

    def generate(
        self,
        prompts: list[dict[str, Any]],
        params: list[SamplingParams],
        *,
        use_tqdm: bool,
        lora_request: LoRARequest | None,
    ) -> list[Any]:
        assert self.awake
        assert not use_tqdm
        self.requests.append(lora_request)
        ids, how = [prompt["prompt_token_ids"] for prompt in prompts], params[0]
        assert all(len(row) + how.max_tokens <= self.settings["max_model_len"] for row in ids)
        model, adapted = self.model, None
        if lora_request is not None:
            assert self.settings["enable_lora"]
            adapted = PeftModel.from_pretrained(model, lora_request.lora_path)
            assert adapted.peft_config["default"].r <= self.settings["max_lora_rank"]
            model = adapted.get_base_model()
        written = sample_tokens(
            model,
            ids,
            temperature=how.temperature,
            top_p=how.top_p,
            max_new_tokens=how.max_tokens,
            seeds=[each.seed for each in params],
            eos_token_id=how.stop_token_ids,
            pad_token_id=self.tokenizer.pad_token_id,
            max_batch_tokens=400,
            stop=StopStrings(self.tokenizer, how.stop, token_texts(self.tokenizer)),
        )
        if adapted is not None:
            self.model = adapted.unload()
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(row))]) for row in written]


@pytest.fixture
def vllm_stand_in(monkeypatch: pytest.MonkeyPatch) -> type[LLM]:
    """Put the stand-in in the place of vLLM."""
    importlib.import_module("cai_kedro.learning.rl.trl_trainers")  # TRL looks whether vLLM is installed
    module: Any = ModuleType("vllm")
    module.LLM, module.SamplingParams, module.TokensPrompt = LLM, SamplingParams, dict
    requests: Any = ModuleType("vllm.lora.request")
    requests.LoRARequest = LoRARequest
    for name, each in {"vllm": module, "vllm.lora": ModuleType("vllm.lora"), "vllm.lora.request": requests}.items():
        monkeypatch.setitem(sys.modules, name, each)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")  # put back afterwards
    LLM.made = []
    return LLM
