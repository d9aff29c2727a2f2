"""Processor seconds of training against plain transformers and TRL, as ratios measured in one run.

The shipped micro LM becomes a preference model in one pass over pairs of random answers; then it reads a rollout as PPO
does (policy, values, entropies, reference) and learns from its minibatches. *Every shape* leaves out that batches come
in few sizes. The plain way is TRL's RewardTrainer, and one padded batch; both with transformers' eager attention, on a
CPU the faster of its two. One thread, in turns.

    python benchmarks/training.py --repeats 15
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from cai_kedro import microworld
from cai_kedro.core.conversation import user
from cai_kedro.engines import batching
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import preference as preference_models
from cai_kedro.learning import value_head
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


def comparisons(lm: LanguageModel, seed: int) -> pd.DataFrame:
    """Return pairs of random answers."""
    rng = np.random.default_rng(seed)
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


@contextmanager
def shapes(step: int, tokens: int) -> Iterator[None]:
    """Round rows and lengths of batches to `step`, and the tokens of replies to `tokens`, for a while."""
    with (
        patch.object(batching, "SHAPE_STEP", step),
        patch.object(preference_models, "SHAPE_STEP", step),
        patch.object(value_head, "TOKEN_STEP", tokens),
    ):
        yield


def in_turns(ways: Mapping[str, Callable[[int], None]], repeats: int) -> dict[str, list[float]]:
    """Return the processor seconds of each way and turn; a first turn does not count. Each turn has data of its own.

    With the same data again, all products would have been compiled for their shapes in the first turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, run in ways.items():
            start = time.process_time()
            run(turn)
            if turn:
                seconds[name].append(time.process_time() - start)
    return seconds


def main() -> None:
    """Print the seconds of our way, and the ratio of others to it, for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    lm, reference = shipped(), shipped()
    model = ActorCritic(lm.model, 0.1)

    def of_rollout(
        work: Callable[[Episodes, int], None], kernel: str, tokens: int, steps: tuple[int, int], turn: int
    ) -> None:
        rng = np.random.default_rng(turn)
        rollout = [(random_prompt(rng), random_reply(rng)) for _ in range(REPLIES)]
        with shapes(*steps), on_loan(lm.model, kernel), on_loan(reference.model, kernel):
            work(Episodes.of(*zip(*rollout, strict=True), 0, torch.device("cpu")), tokens)

    def learning(episodes: Episodes, tokens: int) -> None:
        for batch in episodes.minibatches(MINIBATCH, seed=0):
            learn(model, Episodes.from_batch(batch), tokens)

    def preference(train: Callable[[LanguageModel, pd.DataFrame], object], steps: tuple[int, int], turn: int) -> None:
        with shapes(*steps):
            train(lm, comparisons(lm, turn))

    few, every = (batching.SHAPE_STEP, value_head.TOKEN_STEP), (1, 1)
    kernel, chunk = attention_for("cpu"), chunk_tokens("cpu")
    kinds: dict[str, dict[str, Callable[[int], None]]] = {
        name: {
            "ours": partial(of_rollout, work, kernel, chunk, few),
            "ours, every shape": partial(of_rollout, work, kernel, chunk, every),
            "plain": partial(of_rollout, work, "eager", 2**31, every),
        }
        for name, work in (
            (f"PPO reads {REPLIES} replies", partial(read, model, reference)),
            (f"PPO learns from {REPLIES} in minibatches of {MINIBATCH}", learning),
        )
    }
    kinds[f"preference model, {PAIRS} pairs"] = {
        "ours": partial(preference, lambda lm, table: train_preference_model(lm, table, PARAMS, 0), few),
        "ours, every shape": partial(preference, lambda lm, table: train_preference_model(lm, table, PARAMS, 0), every),
        "plain": partial(preference, plain_preference, every),
    }
    for name, ways in kinds.items():
        ours, *others = (np.array(seconds) for seconds in in_turns(ways, repeats).values())
        print(f"{name}: {np.median(ours):.3f} s", flush=True)
        for way, theirs in zip(list(ways)[1:], others, strict=True):
            low, middle, high = np.quantile(theirs / ours, (0.1, 0.5, 0.9))
            print(f"  {way}: {np.median(theirs):.3f} s, ratio {middle:.2f} (a tenth below {low:.2f}, above {high:.2f})")


if __name__ == "__main__":
    main()
