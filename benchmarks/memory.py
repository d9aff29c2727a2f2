"""Peak memory of trainings against the arithmetic of `kedro estimate`, in a child process on the CPU.

The child makes a random Llama and fine-tunes it, trains a preference model, runs PPO or DPO, after a small warm-up of
each; with `--adapter lora` an adapter of rank 16 is trained.
A peak is the highest resident memory above what the child held before. Freed memory goes back to the system at once
there (MALLOC_MMAP_THRESHOLD_), so the peak is of what is in use.

    python benchmarks/memory.py --sizes small large
    python benchmarks/memory.py --sizes least --adapter lora --dtypes float32
"""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_shape import shape_of
from cai_kedro.learning.preference import PreferenceParams, train_preference_model, with_score_head
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.metrics.memory import StageMemory
from cai_kedro.models.adapters import AdapterParams, LoRAParams, prepared
from cai_kedro.templates.memory import adapter_of, of_arm, of_fine_tuning, of_preference_model

#: Width, layers, inner width, heads, heads of keys, vocabulary.
SIZES = {
    "tiny": (64, 2, 128, 4, 2, 512),
    "least": (320, 4, 768, 5, 1, 8192),
    "small": (384, 6, 1024, 6, 2, 8192),
    "large": (576, 12, 1536, 9, 3, 16384),
    "wordy": (448, 8, 1216, 7, 7, 49152),  # no term of the arithmetic was fitted to it
}
LENGTH, ROWS = 192, 4
STAGES = ("fine_tuning", "preference_model", "ppo", "dpo")
ADAPTERS = ("none", "lora")


def random_llama(size: str) -> LanguageModel:
    """Return a random Llama whose tokens are bytes; the rest of its vocabulary is never written."""
    width, layers, inner, heads, key_heads, vocabulary = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=key_heads, max_position_embeddings=1024,
        tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    return LanguageModel(LlamaForCausalLM(config).eval(), _byte_tokenizer())


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<eos>")


def training_settings(dtype: str) -> dict[str, Any]:
    """Return what both trainings are told."""
    return {
        "device": "cpu", "dtype": dtype, "epochs": 1, "batch_size": 2 * ROWS, "device_batch_size": ROWS,
        "learning_rate": 1e-5, "warmup_steps": 0, "weight_decay": 0.0, "max_grad_norm": 1.0, "max_length": LENGTH,
        "log_every": 1,
    }  # fmt: skip


def ppo_params(dtype: str) -> PPOParams:
    """Return the parameters of PPO."""
    return PPOParams(
        device="cpu", dtype=dtype, rollouts=2, prompts_per_rollout=4, samples_per_prompt=2, ppo_epochs=1,
        minibatch_size=8, device_batch_size=ROWS, learning_rate=1e-6, value_learning_rate=1e-6, warmup_rollouts=0,
        clip_range=0.2, value_clip_range=0.5, vf_coef=0.5, value_trunk_gradient=0.1, gamma=1.0, gae_lambda=0.95,
        whiten_advantages=True, center_scores=True, scale_rewards=False, kl_coef=0.05, kl_target=None, kl_horizon=1e4,
        max_new_tokens=64, temperature=1.0, missing_eos_penalty=0.5, max_grad_norm=1.0, max_batch_tokens=4096,
        snapshot_every=2,
    )  # fmt: skip


def dpo_params(dtype: str) -> DPOParams:
    """Return the parameters of DPO."""
    return DPOParams(
        **training_settings(dtype), beta=0.1, max_new_tokens=8, temperature=1.0, max_batch_tokens=4096, snapshot_every=9
    )


def change_of(adapter: str) -> AdapterParams:
    """Return what is trained."""
    return AdapterParams(adapter=adapter, lora=LoRAParams(rank=16, alpha=32.0, targets=None))  # type: ignore[arg-type]


def run_stage(stage: str, lm: LanguageModel, dtype: str, adapter: str = "none") -> None:
    """Run a stage for two steps."""
    scorer = LanguageModel(with_score_head(lm, 0.5, 0), lm.tokenizer) if stage == "ppo" else None
    lm = prepared(lm, change_of(adapter), 0)
    text = "a" * (LENGTH - len("\n\nHuman: Hi\n\nAssistant: ") - 2)
    rows = 4 * ROWS
    if stage == "fine_tuning":
        table = pd.DataFrame({"row_id": range(rows), "messages": [[user("Hi")]] * rows, "response": [text] * rows})
        fine_tune(lm, table.assign(source="revision", step=1), SFTParams(**training_settings(dtype)), 0)
    elif stage in ("preference_model", "dpo"):
        pairs = {"pair_id": [str(i) for i in range(rows)], "messages": [[user("Hi")]] * rows, "p_a_better": 1.0}
        table = pd.DataFrame(pairs | {"response_a": [text] * rows, "response_b": [text] * rows})
        if stage == "dpo":
            train(lm, Data(comparisons=table), dpo_params(dtype), 0)
        else:
            train_preference_model(lm, table, PreferenceParams(**training_settings(dtype), head_std=0.0), 0)
    else:
        prompt = "b" * (LENGTH - 64 - len("\n\nHuman: \n\nAssistant:") - 1)
        prompts = {"prompt_id": [str(i) for i in range(8)], "messages": [[user(f"{i}{prompt[1:]}")] for i in range(8)]}
        train(lm, Data(prompts=pd.DataFrame(prompts), preference_model=scorer), ppo_params(dtype), 0)


def predicted(stage: str, lm: LanguageModel, dtype: str, adapter: str = "none") -> StageMemory:
    """Return what the arithmetic says of the same stage."""
    shape = shape_of(lm.model.config)
    change = adapter_of(change_of(adapter), shape)
    if stage == "fine_tuning":
        return of_fine_tuning(stage, shape, SFTParams(**training_settings(dtype)), change)
    if stage == "preference_model":
        return of_preference_model(stage, shape, PreferenceParams(**training_settings(dtype), head_std=0.0), change)
    return of_arm(stage, shape, dpo_params(dtype) if stage == "dpo" else ppo_params(dtype), change, LENGTH - 64)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measured(stage: str, size: str, dtype: str, adapter: str = "none") -> dict[str, Any]:
    """Run a stage in this process; return its parameters, the bytes predicted, by part, and measured."""
    run_stage(stage, random_llama("tiny"), dtype, adapter)  # libraries, compiled products, threads
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    lm = random_llama(size)
    expected = predicted(stage, lm, dtype, adapter)
    run_stage(stage, lm, dtype, adapter)
    return {
        "stage": stage, "size": size, "parameters": shape_of(lm.model.config).parameters, "dtype": dtype,
        "predicted": expected.peak, "parts": expected.parts, "measured": _status("VmHWM") - before,
    }  # fmt: skip


def in_child(jobs: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """Measure (stage, size, dtype, adapter or nothing) one after another in a process of its own."""
    command = [sys.executable, __file__, "--only", json.dumps(jobs)]
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main(tell: Callable[[str], None] = print) -> None:
    """Print one line for each stage, size and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["small", "large"], choices=SIZES)
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--adapter", default="none", choices=ADAPTERS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        for job in json.loads(asked.only):
            tell(json.dumps(measured(*job)))
        return
    for found in in_child(list(itertools.product(asked.stages, asked.sizes, asked.dtypes, [asked.adapter]))):
        parts = ", ".join(f"{name} {part / 1e6:.0f}" for name, part in found["parts"].items())
        tell(
            f"{found['stage']}, {found['parameters'] / 1e6:.1f} M, {found['dtype']}: measured "
            f"{found['measured'] / 1e6:.0f} MB, predicted {found['predicted'] / 1e6:.0f} MB, ratio "
            f"{found['predicted'] / found['measured']:.3f} ({parts})"
        )


if __name__ == "__main__":
    main()
