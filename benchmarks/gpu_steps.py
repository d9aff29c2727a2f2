"""The steps of `gpu_check.py`: each makes its models of random weights, runs, and yields figures as it goes."""

import gc
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.memory import _byte_tokenizer
from tests.project_copy import copy_project, kedro_run

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.machine import machine_facts, memory_of
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_shape import shape_of
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.learning.preference import PreferenceParams, train_preference_model, with_score_head
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.metrics.flops import CARDS, training_flops
from cai_kedro.metrics.memory import OnBackbone, StageMemory
from cai_kedro.models.adapters import AdapterParams, LoRAParams, prepared
from cai_kedro.templates.memory import of_arm, of_fine_tuning, of_preference_model

Figures = Iterator[dict[str, Any]]

#: Width, layers, inner width, heads, heads of keys, vocabulary, whether head and embeddings are one: Llama 3's.
MODELS = {
    "1b": (2048, 16, 8192, 32, 8, 128256, True),
    "8b": (4096, 32, 14336, 32, 8, 128256, False),
    "tiny": (64, 2, 128, 4, 2, 512, True),
}


@dataclass(frozen=True)
class Scale:
    """How much is done: rows of a batch and of those at a time, their tokens, written tokens, steps, repetitions."""

    device: str
    batch: int
    at_once: int
    length: int
    written: int
    steps: int
    sampled: int
    products: int
    rehearsal: bool

    @property
    def dtype(self) -> str:
        """The precision of products."""
        return "bfloat16" if self.device == "cuda" else "float32"


GPU = Scale("cuda", batch=16, at_once=4, length=512, written=128, steps=6, sampled=128, products=8192, rehearsal=False)
REHEARSAL = Scale("cpu", batch=4, at_once=2, length=64, written=8, steps=2, sampled=4, products=256, rehearsal=True)


def machine(scale: Scale) -> Figures:
    """What the machine is, and how fast large products and copies are on it."""
    yield machine_facts(scale.device, "auto", "auto")
    dtype, n = getattr(torch, scale.dtype), scale.products
    left, right = (torch.randn(n, n, device=scale.device, dtype=dtype) for _ in range(2))
    seconds = min(_timed(lambda: left @ right, scale) for _ in range(5))
    yield {"products_tflops": 2 * n**3 / seconds / 1e12}
    target = torch.empty_like(left)
    seconds = min(_timed(lambda: target.copy_(left), scale) for _ in range(5))
    yield {"copy_gb_a_second": 2 * left.nbytes / seconds / 1e9}


def micro_world(scale: Scale) -> Figures:
    """The whole default run on the device, in a copy of the project; rehearsed, only its first pipeline."""
    arguments = ("--env=smoke", "--pipelines=base_model") if scale.rehearsal else ("--env=gpu",)
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        began = time.perf_counter()
        done = kedro_run(project, *arguments)
        lines = done.stdout.splitlines()
        if done.returncode:
            raise RuntimeError("\n".join([*lines[-10:], done.stderr[-2000:]]))
        yield {"seconds": time.perf_counter() - began, "last_lines": lines[-5:]}


def fine_tuning(scale: Scale, size: str) -> Figures:
    """SL-CAI's training of an adapter: rows a second, MFU, memory."""
    lm = _adapted(size, scale)
    params = SFTParams(**_training(scale))
    shape = shape_of(lm.model.config)
    rows = scale.batch * scale.steps
    table = pd.DataFrame({"row_id": range(rows), "messages": [[user("Hi")]] * rows})
    table = table.assign(response=_text(scale.length), source="revision", step=1)
    tokens, logits = scale.batch * scale.length, scale.batch * scale.length
    yield from _fit(of_fine_tuning(size, shape, params, _adapter_of(lm)), scale)
    with _steps(scale) as times:
        fine_tune(lm, table, params, 0)
    yield _rates(times, scale, tokens, training_flops(shape, tokens, scale.length / 2, logits, whole=False))


def preference_model(scale: Scale, size: str) -> Figures:
    """A preference model's adapter: comparisons of two answers."""
    lm = _adapted(size, scale)
    params = PreferenceParams(**_training(scale), head_std=0.01)
    shape = shape_of(lm.model.config)
    rows = scale.batch * scale.steps
    pairs = {"pair_id": [str(row) for row in range(rows)], "messages": [[user("Hi")]] * rows, "p_a_better": 0.8}
    table = pd.DataFrame(pairs | {"response_a": _text(scale.length), "response_b": _text(scale.length)[::-1]})
    tokens = 2 * scale.batch * scale.length
    yield from _fit(of_preference_model(size, shape, params, _adapter_of(lm)), scale)
    with _steps(scale) as times:
        train_preference_model(lm, table, params, 0)
    yield _rates(times, scale, tokens, training_flops(shape, tokens, scale.length / 2, 0, whole=False))


def ppo_by_vllm(scale: Scale, size: str) -> Figures:
    """The same five rollouts, drawn by vLLM with the adapter of the moment, where vLLM is installed."""
    if importlib.util.find_spec("vllm") is None:
        yield {"skipped": "vLLM is not installed"}
        return
    longest = scale.length + scale.written
    settings = VLLMSettings(kind="vllm", dtype="bfloat16", gpu_memory_utilization=0.4, max_model_len=longest)
    yield from ppo(scale, size, size, settings)


def ppo(scale: Scale, size: str, scorer: str, sampler: VLLMSettings | None = None) -> Figures:
    """Five rollouts of PPO on an adapter, scored by a preference model of random weights."""
    lm = _adapted(size, scale)
    params = _ppo(scale).model_copy(update={"sampler": sampler})
    texts = [f"{row} {_text(scale.length // 2)}" for row in range(32)]
    prompts = pd.DataFrame({"prompt_id": texts, "messages": [[user(text)] for text in texts]})
    need = of_arm(size, shape_of(lm.model.config), params, _adapter_of(lm), prompt_tokens=scale.length // 2)
    yield from _fit(need, scale)
    base = _random(scorer, scale)
    scores = LanguageModel(with_score_head(base, 0.5, 0), lm.tokenizer)
    del base
    began = time.perf_counter()
    with _steps(scale) as times:
        train(lm, Data(prompts=prompts, preference_model=scores), params, 0)
    seconds = time.perf_counter() - began
    # a rollout begins at the first step behind the last step of the one before
    first = times[:: params.steps_per_rollout * (params.minibatch_size // params.rows_at_once)]
    a_rollout = float(np.diff(first).mean())
    yield {
        "scored_by": scorer, "seconds": seconds, "seconds_a_rollout": a_rollout,
        "episodes_a_second": params.episodes / a_rollout, **_memory(scale),
    }  # fmt: skip


def decoding(scale: Scale, size: str) -> Figures:
    """Sampling by this project against transformers' `generate`, on the same prompts."""
    lm = _random(size, scale)
    lm.model.to(getattr(torch, scale.dtype))
    rng = np.random.default_rng(0)
    rows, length = scale.sampled, scale.length // 4
    prompts = rng.integers(2, 250, size=(rows, length)).tolist()
    lm.model.generation_config.eos_token_id = None
    ids = torch.tensor(prompts, device=scale.device)
    ours = lambda: sample_tokens(  # noqa: E731
        lm.model, prompts, temperature=1.0, top_p=1.0, max_new_tokens=scale.written, seeds=range(rows),
        eos_token_id=None, pad_token_id=0, max_batch_tokens=rows * (length + scale.written),
    )  # fmt: skip
    theirs = lambda: lm.model.generate(  # noqa: E731
        ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, max_new_tokens=scale.written, pad_token_id=0
    )
    with torch.no_grad():
        for run in (ours, theirs):
            run()
        for turn in range(3):
            here, there = _timed(ours, scale), _timed(theirs, scale)
            written = rows * scale.written
            yield {"turn": turn, "tokens_a_second": written / here, "generate": written / there, "ratio": there / here}


def vllm(scale: Scale, size: str) -> Figures:
    """This project's engine on vLLM against vLLM alone, where vLLM is installed."""
    if importlib.util.find_spec("vllm") is None:
        yield {"skipped": "vLLM is not installed"}
        return
    lm = _random(size, scale)
    lm.model.to(torch.bfloat16)
    texts = [f"{row} {_text(scale.length // 4)}" for row in range(scale.sampled)]
    with tempfile.TemporaryDirectory() as folder:
        save_language_model(lm, Path(folder))
        del lm
        _forget()
        settings = VLLMSettings(kind="vllm", dtype="bfloat16", gpu_memory_utilization=0.8, max_model_len=4096)
        engine = VLLMEngine(Path(folder), settings, "hh")
        sampling = Sampling(max_new_tokens=scale.written, temperature=1.0, top_p=1.0)
        raw = engine._vllm.SamplingParams(max_tokens=scale.written, temperature=1.0, top_p=1.0, ignore_eos=False)
        asks = [Reply((user(text),)) for text in texts]
        shown = [engine.layout.prompt(ask).text for ask in asks]
        for turn in range(3):
            here = _timed(lambda: engine.generate(asks, sampling, list(range(len(asks)))), scale)
            there = _timed(lambda: engine._llm.generate(shown, raw), scale)
            yield {"turn": turn, "seconds": here, "vllm_alone": there, "share_of_its_speed": there / here}


# ---- what the steps share


def _random(size: str, scale: Scale) -> LanguageModel:
    width, layers, inner, heads, key_heads, vocabulary, tied = MODELS["tiny" if scale.rehearsal else size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=key_heads, max_position_embeddings=4096,
        tie_word_embeddings=tied, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    with torch.device(scale.device):
        model = LlamaForCausalLM(config).eval()
    return LanguageModel(model, _byte_tokenizer())


def _adapted(size: str, scale: Scale) -> LanguageModel:
    lora = LoRAParams(rank=16, alpha=32.0, targets=None)
    lm = prepared(_random(size, scale), AdapterParams(adapter="lora", lora=lora), 0)
    if scale.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    return lm


def _adapter_of(lm: LanguageModel) -> OnBackbone:
    assert lm.adapter is not None
    weights = sum(each.numel() for each in lm.model.parameters() if each.requires_grad)
    return OnBackbone(weights, four_bits=lm.adapter.quantisation is not None)


def _training(scale: Scale) -> dict[str, Any]:
    return {
        "device": scale.device, "dtype": scale.dtype, "epochs": 1, "batch_size": scale.batch,
        "device_batch_size": scale.at_once, "learning_rate": 1e-4, "warmup_steps": 0, "weight_decay": 0.0,
        "max_grad_norm": 1.0, "max_length": scale.length, "log_every": 1,
    }  # fmt: skip


def _ppo(scale: Scale) -> PPOParams:
    return PPOParams(
        device=scale.device, dtype=scale.dtype, rollouts=5, prompts_per_rollout=scale.batch, samples_per_prompt=4,
        ppo_epochs=1, minibatch_size=2 * scale.batch, device_batch_size=scale.at_once, learning_rate=1e-5,
        value_learning_rate=1e-4, warmup_rollouts=0, clip_range=0.2, value_clip_range=0.5, vf_coef=0.5,
        value_trunk_gradient=0.1, gamma=1.0, gae_lambda=0.95, whiten_advantages=True, center_scores=True,
        scale_rewards=True, kl_coef=0.05, kl_target=None, kl_horizon=1e4, max_new_tokens=scale.written,
        temperature=1.0, missing_eos_penalty=0.5, max_grad_norm=1.0, max_batch_tokens=65536, snapshot_every=5,
    )  # fmt: skip


def _text(length: int) -> str:
    """Return a text that with its prompt has about so many tokens, which are bytes."""
    return "a" * (length - len("\n\nHuman: Hi\n\nAssistant: ") - 2)


def _fit(need: StageMemory, scale: Scale) -> Figures:
    """Say what the arithmetic says of the memory."""
    yield {"gb_by_arithmetic": need.peak / 1e9, "gb_there": (memory_of(scale.device) or 0) / 1e9}


def _memory(scale: Scale) -> dict[str, float]:
    return {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if scale.device == "cuda" else {}


def _rates(times: list[float], scale: Scale, tokens: int, flops: float) -> dict[str, Any]:
    """Return the figures of a step from when parts of batches began; the first batch warms up."""
    parts = scale.batch // scale.at_once
    steps = np.diff(times[parts::parts] if len(times) > 2 * parts else times[::parts])
    seconds = float(np.median(steps))
    found = {"steps": len(steps), "seconds_a_step": seconds, "tokens_a_second": tokens / seconds}
    found |= {"tflops": flops / seconds / 1e12, **_memory(scale)}
    peak = peak_flops(scale.device)
    return found | ({"mfu": flops / seconds / peak} if peak else {})


def peak_flops(device: str) -> float | None:
    """Return what the data sheet of this card says, None for a card that is not known here."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((flops for card, (flops, _, _) in CARDS.items() if card in name), None)


@contextmanager
def _steps(scale: Scale) -> Iterator[list[float]]:
    """Note when each part of a batch begins to be learnt from."""
    real, times = FiniteTraining.training_step, []

    def training_step(trainer: FiniteTraining, *args: Any, **kwargs: Any) -> Any:
        _wait(scale)
        times.append(time.perf_counter())
        return real(trainer, *args, **kwargs)

    FiniteTraining.training_step = training_step  # type: ignore[method-assign]
    try:
        yield times
    finally:
        FiniteTraining.training_step = real  # type: ignore[method-assign]


def _timed(run: Callable[[], object], scale: Scale) -> float:
    _wait(scale)
    began = time.perf_counter()
    run()
    _wait(scale)
    return time.perf_counter() - began


def _wait(scale: Scale) -> None:
    if scale.device == "cuda":
        torch.cuda.synchronize()


def _forget() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


#: By their names in `gpu_check.py`. With 8 billion parameters no second model of that size fits the card: its replies
#: are scored by one of a billion.
STEPS: dict[str, Callable[[Scale], Figures]] = {
    "machine": machine,
    "fine_tuning_1b": partial(fine_tuning, size="1b"),
    "preference_model_1b": partial(preference_model, size="1b"),
    "ppo_1b": partial(ppo, size="1b", scorer="1b"),
    "decoding_1b": partial(decoding, size="1b"),
    "fine_tuning_8b": partial(fine_tuning, size="8b"),
    "preference_model_8b": partial(preference_model, size="8b"),
    "ppo_8b": partial(ppo, size="8b", scorer="1b"),
    "decoding_8b": partial(decoding, size="8b"),
    "vllm_1b": partial(vllm, size="1b"),
    "ppo_vllm_1b": partial(ppo_by_vllm, size="1b"),
    "micro_world": micro_world,
}
