"""`kill_and_resume.py --trainings`: each kind of training killed at random moments, and compared bit for bit."""

import copy
import functools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from tests.conftest import tiny_model
from tests.learning.forked_ranks import run_forked
from tests.learning.kill_trainings import INTERVAL, TRAININGS, Ended, differences, run_training, save_starts
from tests.learning.rl.test_ppo import prompt_table, settings_of

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import launch
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.rl import Data, train

TWO = Processes(processes=2, sharding="none")
#: Steps of PPO on two processes, in each of them.
STEPS = 12


TWO_PROCESSES = "ppo on two processes"


def kill_all(kills: int, seed: int, only: Sequence[str] | None = None) -> int:
    """Kill every kind of training, or `only` these, so many times; print a table, and return 1 where one went wrong.

    Raises `ValueError` for a name of no training.
    """
    known = (*TRAININGS, TWO_PROCESSES)
    chosen = known if only is None else tuple(only)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(f"there is no training {unknown[0]!r}; they are {', '.join(known)}")
    print("| training | kills | same weights, snapshots and curves | most steps done again | seconds |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    wrong = 0
    lm = tiny_model()
    with tempfile.TemporaryDirectory() as folder:
        starts = Path(folder) / "starts"
        starts.mkdir()
        save_starts(lm, starts)
        for name in (name for name in chosen if name != TWO_PROCESSES):
            wrong += _row(name, kills, functools.partial(_killed_at_a_moment, name, starts, kills, seed))
    if TWO_PROCESSES in chosen:
        wrong += _row(TWO_PROCESSES, kills, functools.partial(_killed_in_one_process, lm, kills, seed))
    return int(wrong > 0)


def _row(name: str, kills: int, kill: Callable[[], tuple[int, str]]) -> int:
    began = time.monotonic()
    same, redone = kill()
    print(f"| {name} | {kills} | {same} of {kills} | {redone} | {time.monotonic() - began:.0f} |", flush=True)
    return kills - same


def _killed_at_a_moment(name: str, starts: Path, kills: int, seed: int) -> tuple[int, str]:
    """Return after how many kills all is the same, and how many steps were done again at most."""
    same, most = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        wanted = run_training(name, starts, place / "straight")
        unbroken = run_training(name, starts, place / "unbroken", _checkpoints(place / "unbroken checkpoints"))
        assert isinstance(wanted, Ended)
        assert isinstance(unbroken, Ended)
        moments = random.Random(f"{name} {seed}").sample(range(1, unbroken.moments + 1), kills)
        for number, moment in enumerate(moments):
            where = _checkpoints(place / f"checkpoints {number}")
            begun = run_training(name, starts, place / f"killed {number}", where, kill_at=moment)
            ended = run_training(name, starts, place / f"ended {number}", where)
            assert isinstance(begun, int)
            assert isinstance(ended, Ended)
            redone = begun + ended.steps - wanted.steps
            wrong = differences(ended, wanted)
            wrong += [f"{redone} steps done again"] if redone > INTERVAL.get(name, 4) else []
            if wrong:
                print(f"{name}, killed at moment {moment} of {unbroken.moments}: {wrong[:3]}", file=sys.stderr)
            same, most = same + (not wrong), max(most, redone)
    return same, f"{most} of {wanted.steps}"


def _killed_in_one_process(lm: LanguageModel, kills: int, seed: int) -> tuple[int, str]:
    """Do the same with PPO, one of whose two processes is killed in a step; all its steps since the last rollout go."""
    rng, same = random.Random(f"two processes {seed}"), 0
    real = launch.run_children
    with tempfile.TemporaryDirectory() as folder:
        try:
            launch.run_children = run_forked
            wanted = _ppo_on_two(lm, None)
            for number in range(kills):
                where = _checkpoints(Path(folder) / f"checkpoints {number}")
                rank, step = rng.randrange(2), rng.randint(1, STEPS)
                launch.run_children = functools.partial(run_forked, kill=(rank, step))
                with suppress(RuntimeError):
                    _ppo_on_two(lm, where)
                    print(f"process {rank} was not killed in step {step}", file=sys.stderr)
                launch.run_children = run_forked
                wrong = differences(_ppo_on_two(lm, where), wanted)
                if wrong:
                    print(f"process {rank} killed in step {step}: {wrong[:3]}", file=sys.stderr)
                same += not wrong
        finally:
            launch.run_children = real
    return same, "–"


def _ppo_on_two(lm: LanguageModel, where: dict[str, Any] | None) -> Ended:
    scorer = LanguageModel(with_score_head(copy.deepcopy(lm), 0.5, 1), lm.tokenizer)
    params = settings_of("ppo", rollouts=3, snapshot_every=1, scale_rewards=True, checkpoints=where)
    result = train(
        copy.deepcopy(lm), Data(prompts=prompt_table(), preference_model=scorer), params, seed=1, processes=TWO
    )
    weights: dict[str, torch.Tensor] = dict(result.policy.model.state_dict())
    for step, snapshot in result.snapshots.items():
        weights |= {f"{step}.{name}": weight for name, weight in snapshot.model.state_dict().items()}
    return Ended(weights, list(result.curves.itertuples(index=False, name=None)), 0, 0, "")


def _checkpoints(folder: Path) -> dict[str, Any]:
    return {"directory": str(folder), "seconds": 0}
