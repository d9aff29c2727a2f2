"""What the benchmarks share: models, and ratios of runs that take turns in one process on one machine.

Seconds are CPU seconds of this process. With one thread they are what a free machine would show on its clock, and other
work on the machine does not count, except that it shares memory and caches.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import cast_weights
from cai_kedro.microworld.shipped import shipped_directory

MODELS = ("micro", "llama-100m")
DTYPES = ("float32", "bfloat16")


def arguments(description: str | None, **defaults: int) -> argparse.Namespace:
    """Read the command line: which model, in which precision, and the sizes named by `defaults`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0])
    for name, value in {"threads": 1, "repeats": 5, **defaults}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    read = parser.parse_args()
    torch.set_num_threads(read.threads)
    return read


def language_model(name: str, dtype: str) -> LanguageModel:
    """Return the micro LM, or a random Llama of 104 million parameters that reads and writes its tokens."""
    lm = load_language_model(shipped_directory())
    if name == "llama-100m":
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(lm.tokenizer),
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            pad_token_id=lm.tokenizer.pad_token_id,
            bos_token_id=lm.tokenizer.bos_token_id,
            eos_token_id=lm.tokenizer.eos_token_id,
        )
        lm = LanguageModel(LlamaForCausalLM(config).eval(), lm.tokenizer)
    return LanguageModel(cast_weights(lm.model, getattr(torch, dtype)), lm.tokenizer)


def in_turns(runs: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Return the CPU seconds of each run and repetition, in turns; a first turn to warm up does not count."""
    seconds: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 1):
        for run, taken in zip(runs, seconds, strict=True):
            start = time.process_time()
            run()
            if turn:
                taken.append(time.process_time() - start)
    return seconds


def attention_flop(query: Sequence[int], key: Sequence[int], *_: object, **__: object) -> int:
    """Return the operations of attention with queries (n, heads, t, width) and keys (n, kv heads, s, width)."""
    rows, heads, length, width = query
    return 4 * rows * heads * length * key[2] * width


def gflop(run: Callable[[], object]) -> float:
    """Return the billions of floating-point operations of a run's matrix products and attention."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # torch counts only those of GPUs
    counter = FlopCounterMode(display=False, custom_mapping={kernel: attention_flop})
    with counter:
        run()
    return counter.get_total_flops() / 1e9


def say_ratio(
    what: str,
    theirs: Sequence[float],
    ours: Sequence[float],
    runs: tuple[Callable[[], object], Callable[[], object]] | None = None,
) -> None:
    """Print the median of the ratios of the repetitions, their smallest and largest, and the median seconds.

    With the runs themselves, they run once more, and what each computes is printed, in all and a second.
    """
    ratios = [there / here for there, here in zip(theirs, ours, strict=True)]
    print(
        f"{what}: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} "
        f"repetitions); {statistics.median(theirs):.2f} s against {statistics.median(ours):.2f} s of CPU; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )
    for name, run, seconds in zip(("theirs", "ours"), runs or (), (theirs, ours), strict=False):
        work = gflop(run)
        print(f"  {name}: {work:.0f} GFLOP, {work / statistics.median(seconds):.1f} GFLOP/s", flush=True)
