"""Episodes a second of our PPO against TRL's RLOO, GRPO and PPO, as ratios measured in one run.

    python benchmarks/algorithms.py
    python benchmarks/algorithms.py --trl-ppo /path/to/other/environment/bin/python

All start from the shipped micro LM, read the same prompts, draw replies of the same length, are scored by the same
preference model (of random weights) and learn from minibatches of the same size, as often. One thread, in turns. What
counts is what rollouts cost beyond the first: CPU seconds of a training of several, less those of one of a single
rollout. TRL's PPO was taken out of newer versions; another environment has it (`pip install trl==1.12.0 torch
transformers`) and runs `trl_ppo.py` on the same files. It has a whole model for its values, as it comes.
"""

import argparse
import copy
import json
import logging
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from transformers.utils.logging import disable_progress_bar

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.rl.rloo_grpo import GRPOParams, RLOOParams
from cai_kedro.learning.rl_params import RolloutParams
from cai_kedro.learning.rollouts import encode_prompts
from cai_kedro.microworld.shipped import shipped_directory

PROJECT = Path(__file__).resolve().parent.parent
OTHER = Path(__file__).with_name("trl_ppo.py")


def settings(kind: type[RolloutParams], rollouts: int) -> RolloutParams:
    """Return the parameters of `conf/base` for one of the algorithms, on the CPU, without checkpoints."""
    text = (PROJECT / "conf/base/parameters_rlhf.yml").read_text(encoding="utf-8")
    text = text.replace("${globals:device}", "cpu").replace("${globals:dtype}", "auto")
    block: dict[str, Any] = yaml.safe_load(text)["rlhf"]["rl"][kind.algorithm]
    return kind(**block | {"rollouts": rollouts, "snapshot_every": rollouts, "checkpoints": None})


def prompts_of(rows: int) -> pd.DataFrame:
    """Return the first red-team prompts of the micro world (prompt_id, messages)."""
    table = pd.read_json(PROJECT / "data/01_raw/given_red_team_prompts.jsonl", lines=True).head(rows)
    return pd.DataFrame({"prompt_id": [str(n) for n in range(len(table))], "messages": table["messages"]})


def ours(
    kind: type[RolloutParams], lm: LanguageModel, pm: LanguageModel, prompts: pd.DataFrame, rollouts: int
) -> float:
    """Return the CPU seconds of a training of so many rollouts."""
    start = LanguageModel(copy.deepcopy(lm.model), lm.tokenizer, lm.layout)
    data = Data(prompts=prompts, preference_model=pm)
    began = time.process_time()
    train(start, data, settings(kind, rollouts), 0)
    return time.process_time() - began


def theirs(python: Path, work: Path, rollouts: int) -> float:
    """Return the CPU seconds that TRL's PPO takes in another environment."""
    command = [str(python), str(OTHER), str(work), str(rollouts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def write_for_other(work: Path, lm: LanguageModel, pm: LanguageModel, prompts: pd.DataFrame) -> None:
    """Write models, prompts and sizes for `trl_ppo.py`."""
    params = settings(PPOParams, 1)
    lm.model.save_pretrained(work / "policy")
    lm.tokenizer.save_pretrained(work / "policy")
    pm.model.save_pretrained(work / "preference_model")
    ids = encode_prompts(prompts, lm, 10**4).token_ids
    (work / "workload.json").write_text(json.dumps({"prompts": ids, **params.model_dump(mode="json")}))


def main() -> None:
    """Print for each algorithm its episodes a second, and the ratio of ours to it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=4, help="that count, behind the first")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--trl-ppo", type=Path, help="the Python of an environment with TRL's PPO")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    disable_progress_bar()
    lm = load_language_model(shipped_directory())
    torch.manual_seed(0)
    pm = LanguageModel(with_score_head(lm, 0.1, 0), lm.tokenizer, lm.layout)
    prompts = prompts_of(given.prompts)
    kinds: dict[str, type[RolloutParams]] = {"ours, PPO": PPOParams, "TRL, RLOO": RLOOParams, "TRL, GRPO": GRPOParams}
    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Callable[[int], float]] = {
            name: partial(ours, kind, lm, pm, prompts) for name, kind in kinds.items()
        }
        if given.trl_ppo:
            write_for_other(Path(folder), lm, pm, prompts)
            ways["TRL, PPO"] = partial(theirs, given.trl_ppo, Path(folder))
        say(measured(ways, given.rollouts, given.repeats), given.rollouts * settings(PPOParams, 1).episodes)


def measured(ways: Mapping[str, Callable[[int], float]], rollouts: int, repeats: int) -> dict[str, list[float]]:
    """Return the CPU seconds of so many rollouts behind the first, of each way and turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            seconds[name].append(run(1 + rollouts) - run(1))
    return seconds


def say(seconds: Mapping[str, list[float]], episodes: int) -> None:
    """Print medians and ratios."""
    first, *_ = seconds.values()
    for name, taken in seconds.items():
        ratios = [other / own for other, own in zip(taken, first, strict=True)]
        print(
            f"{name}: {episodes / statistics.median(taken):.1f} episodes a second of CPU, "
            f"{statistics.median(taken):.1f} s for {episodes}; ours is {statistics.median(ratios):.2f} times as fast "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} repetitions)",
            flush=True,
        )


if __name__ == "__main__":
    main()
