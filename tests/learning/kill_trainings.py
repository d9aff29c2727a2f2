"""Trainings in processes of their own, killed (SIGKILL) at a chosen moment or on a disk that is full.

Moments are counted: each step of a training, and around each write, flush and rename of a checkpoint. The processes are
forked from one that has imported all this and done nothing with it.
"""

import json
import logging
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from cai_kedro.core import durable
from cai_kedro.core.asks import Reply, as_json
from cai_kedro.core.conversation import user
from cai_kedro.core.lineage import CLONING, ENGRAVING
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.learning import checkpoint_writer, checkpoints, resumable
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.learning.lessons import LessonParams, teach
from cai_kedro.learning.preference import PreferenceParams, train_preference_model, with_score_head
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl import dpo_trainer as _  # noqa: F401  (imported before the fork)
from cai_kedro.learning.rl import trl_trainers as __  # noqa: F401
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.microworld import pretraining
from cai_kedro.models.adapters import AdapterParams, LoRAParams
from cai_kedro.pipelines.base_model.nodes import BaseModelParams, provide_pretrained
from cai_kedro.pipelines.self_align.training import StageTrainingParams, train_stage
from tests.learning.rl.test_dpo import comparisons
from tests.learning.rl.test_dpo import settings as dpo_settings
from tests.learning.rl.test_ppo import prompt_table, settings_of
from tests.microworld.test_training import TINY

BY_ROLLOUT = ("ppo", "rloo", "grpo")
TRAININGS = ("sft", "lessons", "preference model", "regression", "dpo", *BY_ROLLOUT, "pretraining", ENGRAVING, CLONING)
LAST_STEP = dict.fromkeys(BY_ROLLOUT, 12)  # of the others 9
#: Parts between checkpoints: a rollout's, a step's, or those between two lines of the curves.
INTERVAL = dict.fromkeys(BY_ROLLOUT, 4) | {"pretraining": 1}
_ADAPTER = AdapterParams(adapter="lora", lora=LoRAParams(rank=4, alpha=16, targets=None))
PARAMS: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "epochs": 3,
    "batch_size": 6,
    "device_batch_size": 3,
    "learning_rate": 3e-3,
    "warmup_steps": 2,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "max_length": 96,
    "log_every": 2,
}


@dataclass(frozen=True)
class Ended:
    """How a process ended that was not killed: what was trained, the moments, the steps it did, and what it said."""

    weights: dict[str, Tensor]
    curves: list[tuple[Any, ...]]
    moments: int
    steps: int
    log: str


def differences(ended: Ended | int, wanted: Ended) -> list[str]:
    """Tell what of a training differs from another one, bit by bit."""
    if not isinstance(ended, Ended):
        return ["it was killed"]
    differing = [name for name, weight in wanted.weights.items() if not torch.equal(ended.weights[name], weight)]
    differing += [] if list(ended.weights) == list(wanted.weights) else ["the names of the weights"]
    return differing + ([] if ended.curves == wanted.curves else ["the curves"])


def save_starts(tiny_lm: LanguageModel, directory: Path) -> None:
    """Save a model with dropout, whose training draws random numbers at each step, and one for PPO, which has none."""
    size = len(tiny_lm.tokenizer)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=size, n_embd=32, n_layer=1, n_head=2, n_positions=128, eos_token_id=1, bos_token_id=1)
    )
    assert model.config.resid_pdrop > 0
    save_language_model(LanguageModel(model, tiny_lm.tokenizer), directory / "dropout")
    save_language_model(tiny_lm, directory / "plain")


def train_once(  # noqa: PLR0911 - one return for each training
    name: str, starts: Path, where: dict[str, Any] | None
) -> tuple[dict[str, Tensor], pd.DataFrame]:
    """Train and return all weights, those of the snapshots too, and the curves."""
    if name == "pretraining":
        given = dict.fromkeys(("path", "gguf", "repo", "revision"))
        micro = TINY.model_copy(update={"steps": 9, "tokenizer_documents": 500})
        params = BaseModelParams(source="micro", layout="auto", micro=micro, checkpoints=where, **given)
        lm, curves = provide_pretrained(params, seed=1)
        assert isinstance(lm, LanguageModel)
        return lm.model.state_dict(), curves
    table = comparisons(18)
    rows = table.rename(columns={"response_a": "response", "pair_id": "row_id"}).assign(source="revision", step=1)
    base = load_language_model(starts / ("plain" if name in BY_ROLLOUT else "dropout"))
    if name == "sft":
        lm, curves = fine_tune(base, rows, SFTParams(**PARAMS, checkpoints=where), seed=1)
        return lm.model.state_dict(), curves
    if name in (ENGRAVING, CLONING):
        stage = StageTrainingParams(rows=None, training=_ADAPTER, fine_tuning=SFTParams(**PARAMS, checkpoints=where))
        lm, curves = train_stage(base, rows, stage, 1, name)
        assert lm.adapter is not None
        return dict(lm.adapter.weights or {}), curves
    if name == "lessons":
        params = LessonParams(**PARAMS, deciding_weight=4.0, snapshot_every=3, checkpoints=where)
        taught = teach(base, lessons(18), params, seed=1)
        return _with_snapshots(taught.model, taught.snapshots), taught.curves
    if name == "preference model":
        lm, curves = train_preference_model(
            base, table, PreferenceParams(**PARAMS, head_std=0.1, checkpoints=where), seed=1
        )
        return lm.model.state_dict(), curves
    if name == "regression":
        rated = rows.assign(rating=[float(row % 5) for row in range(len(rows))])
        lm = train_regression(base, rated, SFTParams(**PARAMS, checkpoints=where), seed=1)
        return lm.model.state_dict(), pd.DataFrame()
    if name == "dpo":
        params = dpo_settings(batch_size=6, log_every=2, epochs=3, snapshot_every=3, checkpoints=where)
        result = train(base, Data(comparisons=table), params, seed=1)
    else:
        model = LanguageModel(with_score_head(base, 0.5, 1), base.tokenizer)
        params = settings_of(name, rollouts=3, snapshot_every=1, scale_rewards=True, checkpoints=where)
        result = train(base, Data(prompts=prompt_table(), preference_model=model), params, seed=1)
    return _with_snapshots(result.policy, result.snapshots), result.curves


def lessons(n: int) -> pd.DataFrame:
    """Replies of unlike lengths; a comparison is longer than the context."""
    return pd.DataFrame(
        {
            "lesson_id": [f"lesson-{row}" for row in range(n)],
            "ask": json.dumps(as_json(Reply((user("How?"),)))),
            "answer": [f"Take {'many ' * (row % 3)}{row} steps." for row in range(n)],
            "decides": [[0] if row % 3 else [] for row in range(n)],
            "phase": [1 + row % 2 for row in range(n)],
            "together": [row // 3 for row in range(n)],
        }
    )


def _with_snapshots(last: LanguageModel, snapshots: Mapping[int, LanguageModel]) -> dict[str, Tensor]:
    along = {
        f"{step}.{weight}": value
        for step, snapshot in snapshots.items()
        for weight, value in snapshot.model.state_dict().items()
    }
    return {**last.model.state_dict(), **along}


class Moments:
    """Counts moments and kills the process at one of them, or has the disk full (for larger files) from one save on."""

    def __init__(self, killed: Path, kill_at: int | None, room: int | None) -> None:
        self.killed, self.kill_at, self.room = killed, kill_at, room
        self.moments = self.steps = self.saves = 0
        for owner, name in (
            (FiniteTraining, "training_step"),
            (torch, "save"),
            (Path, "replace"),
            (durable, "flush"),
            (checkpoints, "remove"),
            (checkpoint_writer, "remove"),
            (pretraining, "batch_loss"),
        ):
            setattr(owner, name, self._counted(name, getattr(owner, name)))
        resumable.ResumableTraining._save_snapshots = self._full(resumable.ResumableTraining._save_snapshots)  # type: ignore[method-assign]

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if name in ("training_step", "batch_loss"):
                self.steps += 1
            self._pass()
            result = function(*args, **kwargs)
            self._pass()
            return result

        return counted

    def _full(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def save(*args: Any, **kwargs: Any) -> Any:
            self.saves += 1
            if self.saves > 1 and self.room is not None:
                self.limit(self.room)
            return function(*args, **kwargs)

        return save

    @staticmethod
    def limit(size: int) -> None:
        """Allow files of so many bytes; -1: of any size."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def _pass(self) -> None:
        self.moments += 1
        if self.moments == self.kill_at:
            self.killed.write_text(str(self.steps), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)


def _child(
    name: str, starts: Path, where: dict[str, Any] | None, told: Path, kill_at: int | None, room: int | None
) -> None:
    torch.set_num_threads(1)
    log = told.with_suffix(".log")
    logging.basicConfig(filename=log, level=logging.INFO, force=True)
    moments = Moments(told.with_suffix(".killed"), kill_at, room)
    weights, curves = train_once(name, starts, where)
    moments.limit(-1)
    counts = moments.moments, moments.steps
    rows = list(curves.itertuples(index=False, name=None))
    torch.save((weights, rows, *counts, log.read_text(encoding="utf-8")), told)


def run_training(
    name: str,
    starts: Path,
    told: Path,
    where: dict[str, Any] | None = None,
    kill_at: int | None = None,
    room: int | None = None,
) -> Ended | int:
    """Train in a process of its own; returns what it gave, or, when it was killed, how many steps it had begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_child, args=(name, starts, where, told, kill_at, room))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return int(told.with_suffix(".killed").read_text(encoding="utf-8"))
    assert process.exitcode == 0, told.with_suffix(".log").read_text(encoding="utf-8")[-3000:]
    return Ended(*torch.load(told, weights_only=False))
