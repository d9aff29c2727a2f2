"""Processor seconds of training against plain transformers and TRL, as ratios measured in one run.

The shipped micro LM becomes a preference model in one pass over pairs of random answers; then it reads a rollout as PPO
does (policy, values, entropies, reference) and learns from a minibatch of it. The plain way is TRL's RewardTrainer, and
one padded batch; both with transformers' eager attention, on a CPU the faster of its two. One thread, in turns, and the
fastest of each counts: other work on the machine falls on both.

    python benchmarks/training.py --repeats 5
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from cai_kedro import microworld
from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import (
    PreferenceParams,
    preference_dataset,
    train_preference_model,
    with_score_head,
)
from cai_kedro.learning.rollouts import Episodes
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for, chunk_tokens, training_flags
from cai_kedro.learning.value_head import ActorCritic, reply_logprobs

PAIRS, REPLIES, MINIBATCH = 256, 128, 64
PARAMS = PreferenceParams(
    device="cpu", dtype="auto", epochs=1, batch_size=32, learning_rate=1e-3, warmup_steps=0, weight_decay=0.0,
    max_grad_norm=1.0, max_length=256, log_every=10, head_std=0.0,
)  # fmt: skip


def shipped() -> LanguageModel:
    """Load the micro LM of the package."""
    place = Path(microworld.__file__).parent / "micro_lm"
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    return LanguageModel(model, AutoTokenizer.from_pretrained(place))


def ids(rng: np.random.Generator, usual: tuple[int, int], long: tuple[int, int], share: float) -> list[int]:
    """Return random token ids, of a usual or, for a share, of a long length: as many as in the micro world."""
    length = rng.integers(*(long if rng.random() < share else usual))
    return list(map(int, rng.integers(2, 1700, size=length)))


def random_prompt(rng: np.random.Generator) -> list[int]:
    """Return a prompt; 18 % have two turns."""
    return ids(rng, (13, 20), (40, 54), 0.18)


def random_reply(rng: np.random.Generator) -> list[int]:
    """Return a reply; 10 % reach the limit."""
    return ids(rng, (8, 30), (48, 49), 0.1)


def comparisons(lm: LanguageModel) -> pd.DataFrame:
    """Return pairs of random answers."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(PAIRS):
        prompt, *answers = (
            lm.tokenizer.decode(found) for found in (random_prompt(rng), random_reply(rng), random_reply(rng))
        )
        rows.append((f"{len(rows)}", [user(prompt)], *answers, rng.random()))
    return pd.DataFrame(rows, columns=["pair_id", "messages", "response_a", "response_b", "p_a_better"])


def plain_preference(lm: LanguageModel, table: pd.DataFrame) -> None:
    """Train a preference model with TRL as it comes."""
    with tempfile.TemporaryDirectory() as scratch:
        model = with_score_head(lm, 0.0, 0)
        model.set_attn_implementation("eager")
        RewardTrainer(
            model=model,
            args=RewardConfig(output_dir=scratch, max_length=None, **training_flags(PARAMS, 0)),
            data_collator=DataCollatorForPreference(pad_token_id=lm.tokenizer.pad_token_id),
            train_dataset=preference_dataset(lm, table, PARAMS.max_length),
            processing_class=lm.tokenizer,
        ).train()


def read(model: ActorCritic, reference: LanguageModel, episodes: Episodes, tokens: int) -> None:
    """Compute what PPO needs of a rollout."""

    def reader(**batch: Tensor) -> tuple[Tensor, ...]:
        known = reply_logprobs(reference.model, **batch, temperature=1.0)
        return *model(**batch, temperature=1.0, entropy=True), known

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        episodes.read(reader, tokens)


def learn(model: ActorCritic, episodes: Episodes, tokens: int) -> None:
    """Compute the gradients of a minibatch."""
    with torch.autocast("cpu", torch.bfloat16):
        logprobs, values, _ = episodes.read(partial(model, temperature=1.0, entropy=False), tokens)
    (logprobs.sum() + values.sum()).backward()
    model.zero_grad()


def fastest(ours: Callable[[], None], theirs: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Return the processor seconds of the fastest run of each, in turns, after one of each that does not count."""
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for run, taken in zip((ours, theirs), seconds, strict=True):
            start = time.process_time()
            run()
            taken.append(time.process_time() - start)
    return min(seconds[0][1:]), min(seconds[1][1:])


def main() -> None:
    """Print both times and their ratio for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    lm, reference, rng = shipped(), shipped(), np.random.default_rng(0)
    table = comparisons(lm)
    rollout = [(random_prompt(rng), random_reply(rng)) for _ in range(REPLIES)]
    episodes = Episodes.of(*zip(*rollout, strict=True), 0, torch.device("cpu"))
    minibatch = Episodes.from_batch(episodes.rows(torch.arange(MINIBATCH)))
    model = ActorCritic(lm.model, 0.1)

    def with_kernel(kernel: str, work: Callable[[int], None], tokens: int) -> None:
        with on_loan(lm.model, kernel), on_loan(reference.model, kernel):
            work(tokens)

    length = episodes.lengths.float()
    print(f"{REPLIES} replies, {length.mean():.0f} tokens with their prompt, longest {length.max():.0f}")
    work: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {}
    for name, run in (
        (f"PPO reads {REPLIES} replies", partial(read, model, reference, episodes)),
        (f"PPO learns from {MINIBATCH}", partial(learn, model, minibatch)),
    ):
        work[name] = (
            partial(with_kernel, attention_for("cpu"), run, chunk_tokens("cpu")),
            partial(with_kernel, "eager", run, 2**31),
        )
    work[f"preference model, {PAIRS} pairs"] = (
        lambda: train_preference_model(lm, table, PARAMS, 0) and None,
        lambda: plain_preference(lm, table),
    )
    for name, runs in work.items():
        ours, theirs = fastest(*runs, repeats)
        print(f"{name}: {ours:.3f} s, plain {theirs:.3f} s, ratio {theirs / ours:.2f}", flush=True)


if __name__ == "__main__":
    main()
