"""What is ours in the vLLM engine, on a stand-in for the part of vLLM that it uses: vLLM itself needs a GPU."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cai_kedro.datasets.engine_kinds import VLLM
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.loading import load_engine
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings
from cai_kedro.models.adapters import prepared, trained
from tests.adapters import LORA
from tests.asks import plain
from tests.models.test_adapters import changed

SETTINGS = VLLMSettings(kind="vllm", dtype="float32", gpu_memory_utilization=0.5, max_model_len=64)
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=40)
CHOICES = (" (A)", " (Bc)")


@dataclass
class SamplingParams:
    """The fields of vLLM's class that the engine may set."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 16
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)
    prompt_logprobs: int | None = None
    detokenize: bool = True


class LLM:
    """Scores prompts as vLLM does, by the model itself; writes the numbers of its requests."""

    def __init__(self, model: str, **settings: Any) -> None:
        self.settings = settings
        self.asked: list[tuple[list[int], SamplingParams]] = []
        self._lm = load_language_model(Path(model)).model

    def generate(self, prompts: list[dict[str, Any]], params: list[SamplingParams], *, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        outputs = []
        for prompt, how in zip(prompts, params, strict=True):
            ids = prompt["prompt_token_ids"]
            if len(ids) >= self.settings["max_model_len"]:
                raise AssertionError("vLLM refuses a prompt that leaves no room for one token")
            said = SimpleNamespace(
                text=f" {len(self.asked)} ",
                token_ids=[5, 6],
                finish_reason=("stop", "length")[how.seed is not None and how.seed % 2],
            )
            self.asked.append((ids, how))
            outputs.append(SimpleNamespace(outputs=[said], prompt_logprobs=self._scored(ids, how)))
        return outputs

    def _scored(self, ids: list[int], how: SamplingParams) -> list[Any] | None:
        if how.prompt_logprobs is None:
            return None
        with torch.no_grad():
            logprobs = torch.log_softmax(self._lm(torch.tensor([ids])).logits[0].float(), dim=-1)
        return [None, *({i: SimpleNamespace(logprob=float(at[i]))} for at, i in zip(logprobs, ids[1:], strict=False))]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_lm: LanguageModel) -> VLLMEngine:
    module: Any = ModuleType("vllm")
    module.LLM, module.SamplingParams, module.TokensPrompt = LLM, SamplingParams, dict
    monkeypatch.setitem(sys.modules, "vllm", module)
    save_language_model(tiny_lm, tmp_path / "model")
    made = load_engine(SETTINGS, tmp_path / "model")
    assert isinstance(made, VLLMEngine)
    return made


def asked(engine: VLLMEngine) -> list[tuple[list[int], SamplingParams]]:
    return engine._llm.asked


def test_the_model_is_loaded_as_the_settings_say(engine: VLLMEngine) -> None:
    assert engine._llm.settings == {
        "dtype": "float32",
        "load_format": "safetensors",
        "trust_remote_code": False,
        "enable_prefix_caching": True,
        "gpu_memory_utilization": 0.5,
        "max_model_len": 64,
    }


def test_rows_keep_their_order_their_seed_and_their_room(engine: VLLMEngine, tiny_lm: LanguageModel) -> None:
    said = engine.generate(plain(["ab", "x" * 50], stops=["\n\nHuman:"]), SAMPLING, [7, 2**62])
    assert said == [Completion("0", "length"), Completion("1", "stop")]
    (first, how), (_, other) = asked(engine)
    assert first == [tiny_lm.tokenizer.bos_token_id, *tiny_lm.tokenizer("ab", add_special_tokens=False)["input_ids"]]
    assert how == SamplingParams(temperature=0.7, top_p=0.9, max_tokens=40, seed=7, stop=["\n\nHuman:"])
    assert (other.seed, other.max_tokens) == (2**62, 64 - 51)
    assert engine.tokens_written == 4
    with pytest.raises(ValueError, match="2 prompts and 1 seeds"):
        engine.generate(plain(["a", "b"]), SAMPLING, [1])
    assert engine.generate([], SAMPLING, []) == []


def test_choices_score_as_with_the_transformers_engine(engine: VLLMEngine, tiny_lm: LanguageModel) -> None:
    asks = plain(["\n\nHuman: hello\n\nAssistant:", "short", "another"], CHOICES)
    alone = TransformersEngine(tiny_lm, max_batch_tokens=512, dtype="float32")
    read = engine.choice_logprobs(asks)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, alone.choice_logprobs(asks), atol=1e-4)
    assert {how.prompt_logprobs for _, how in asked(engine)} == {0}
    assert engine.choice_logprobs([]).shape == (0, 2)
    with pytest.raises(ValueError, match="every choice needs at least one token"):
        engine.choice_logprobs(plain(["a"], [" (A)", ""]))


def test_a_prompt_that_is_too_long_is_told_before_anything_is_asked(engine: VLLMEngine) -> None:
    longest = 64 - 1 - len(CHOICES[1]) - 1  # BOS, the longest choice, and the token that vLLM always writes
    assert engine.fits(plain(["x" * longest, "x" * 63, "x" * 64]), 0) == [True, True, False]
    engine.choice_logprobs(plain(["x" * longest], CHOICES))
    before = len(asked(engine))
    with pytest.raises(PromptTooLongError, match="row 1 has 59 tokens and needs room for 6") as told:
        engine.choice_logprobs(plain(["a", "x" * (longest + 1)], CHOICES))
    assert told.value.rows == (1,)
    with pytest.raises(PromptTooLongError):
        engine.generate(plain(["x" * 63]), SAMPLING, [1])
    assert len(asked(engine)) == before


def test_an_adapter_is_merged_into_its_backbone(engine: VLLMEngine, tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_model(trained(changed(prepared(load_model(tmp_path / "model"), LORA, 0))), tmp_path / "adapter")
    merged = VLLM(**SETTINGS.model_dump(exclude={"kind"})).load(tmp_path / "adapter")
    asks = plain(["\n\nHuman: hello\n\nAssistant:", "short"], CHOICES)
    alone = TransformersEngine(load_model(tmp_path / "adapter"), max_batch_tokens=512, dtype="float32")
    np.testing.assert_allclose(merged.choice_logprobs(asks), alone.choice_logprobs(asks), atol=1e-4)
    assert not np.allclose(merged.choice_logprobs(asks), engine.choice_logprobs(asks), atol=1e-2)
    assert merged.fingerprint != engine.fingerprint


def test_the_fingerprint_is_that_of_weights_tokenizer_and_precision(engine: VLLMEngine, tmp_path: Path) -> None:
    other = VLLMEngine(tmp_path / "model", SETTINGS.model_copy(update={"dtype": "bfloat16"}))
    again = VLLMEngine(tmp_path / "model", SETTINGS.model_copy(update={"max_model_len": 32}))
    assert engine.fingerprint == again.fingerprint != other.fingerprint
    lm = load_language_model(tmp_path / "model")
    with torch.no_grad():
        next(lm.model.parameters())[0, 0] += 1
    save_language_model(lm, tmp_path / "changed")
    assert VLLMEngine(tmp_path / "changed", SETTINGS).fingerprint != engine.fingerprint
