"""Tokens per second of the engine's sampling loop against `model.generate`, as a ratio measured in one run.

A random Llama of the micro LM's size writes 40 tokens for 256 prompts of 20 to 60 tokens; nothing stops early.
"""

import argparse
import time

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.transformers_engine import cast_weights

ROWS, NEW_TOKENS, VOCABULARY, PAD = 256, 40, 1792, 0


def random_llama() -> LlamaForCausalLM:
    """Return a model of about a million parameters."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).eval()


def ours(model: LlamaForCausalLM, prompts: list[list[int]]) -> None:
    """Sample with this project's loop."""
    sample_tokens(
        model,
        prompts,
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=NEW_TOKENS,
        seeds=range(ROWS),
        eos_token_id=None,
        pad_token_id=PAD,
        max_batch_tokens=32768,
    )


def theirs(model: LlamaForCausalLM, prompts: list[list[int]]) -> None:
    """Sample with `model.generate` on one left-padded batch."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    model.generate(ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=NEW_TOKENS, pad_token_id=PAD)


def fastest(model: LlamaForCausalLM, repeats: int) -> list[float]:
    """Return the new tokens per second of the fastest run of each, in turns so that both meet the same load."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(1, VOCABULARY, size=n).tolist() for n in rng.integers(20, 61, size=ROWS)]
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for run, taken in zip((ours, theirs), seconds, strict=True):
            start = time.perf_counter()
            run(model, prompts)
            taken.append(time.perf_counter() - start)
    return [ROWS * NEW_TOKENS / min(taken[1:]) for taken in seconds]


def main() -> None:
    """Print both rates and their ratio for each precision; runs in turns, the fastest of each counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = random_llama()
    print(f"{model.num_parameters():,} parameters, {ROWS} rows × {NEW_TOKENS} tokens, {arguments.threads} threads")
    for dtype in (torch.float32, torch.bfloat16):
        cast = cast_weights(model, dtype)
        here, there = fastest(cast, arguments.repeats)
        print(f"{dtype}: {here:,.0f} tokens/s, model.generate {there:,.0f}, ratio {here / there:.2f}")


if __name__ == "__main__":
    main()
