"""SIGKILL in the middle of sampling and labelling: is anything lost, made twice, or different afterwards?

    python benchmarks/kill_and_resume.py --kills 20 --pipelines data_generation preference_labeling

Runs the stages once without an interruption, in a copy of the project in small shards. Then, for every kill: a fresh
copy without the results of the pipeline, `kedro run`, SIGKILL, `kedro run` again. Half of the kills come at a random
moment, the others right before or right after a file gets its name. Afterwards every table must have the sha256 of the
uninterrupted run, and no shard that was finished before the kill may have been made again. Prints one line a kill and
exits with 1 if one went wrong.

    python benchmarks/kill_and_resume.py --trainings --kills 10

kills each kind of training of a tiny model at random moments: in steps, and around each write, flush and rename of a
checkpoint; of PPO on two processes one of them in a random step. Started again, it must end in the weights, snapshots
and curves of a training that nobody killed, bit for bit, and do again no more than an interval between checkpoints.
Prints a table.
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.project_copy import copy_project, kedro_run, kedro_start

ENV = "smoke"
PARAMS = (
    "--params=shards.prompts=4,data_generation.revision.rounds=1,preference_labeling.harmlessness_pairs.prompts=16,"
    "preference_labeling.sl_helpful_pairs.prompts=16,preference_labeling.cot_labels.sampling.max_new_tokens=16"
)
BEFORE = "base_model,baselines,data_generation,sl_cai"
TABLES = {
    "data_generation": (
        "generated_red_team_prompts",
        "initial_responses",
        "helpful_responses",
        "revisions",
        "direct_revisions",
    ),
    "preference_labeling": ("harmlessness_pairs", "sl_helpful_pairs", "ai_comparisons", "ai_cot_comparisons"),
    "self_align": ("self_align_topic_lists", "self_align_question_lists", "self_align_task_lists"),
    # the other stages that sample; one stage alone is run, on what those before it made
    "self_alignment": ("self_align_answers",),
    "cloning": ("self_align_verbose_answers",),
}
#: Which stage of a pipeline is run, where it is not all of it.
STAGES = {
    "self_align": ("self_align", "self_instruct"),
    "self_alignment": ("self_align", "self_alignment"),
    "cloning": ("self_align", "cloning"),
}
#: Models that a stage trains on its tables: their weights are compared, too.
MODELS = {"cloning": "self_align_verbose"}
#: Typed before `kedro run`: the process kills itself where the n-th file of a shard or table gets its name.
AT_A_RENAME = """
import os, signal
real, left = os.replace, [{n}]

def replace(source, target):
    if ".part" not in str(source):
        return real(source, target)
    left[0] -= 1
    if left[0] == 0 and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace
"""


@dataclass(frozen=True)
class Kill:
    """When a run is killed: so many seconds after its first shard has begun, or before or after the n-th rename."""

    seconds: float | None = None
    rename: int | None = None
    after: bool = False

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"after {self.seconds:.1f} s of work"
        return f"{'after' if self.after else 'before'} rename {self.rename}"


def asked(name: str) -> tuple[str, ...]:
    """Return the arguments of `kedro run` for a pipeline, or for a stage of one."""
    pipeline, *stage = STAGES.get(name, (name,))
    return (f"--env={ENV}", f"--pipelines={pipeline}", *(f"--namespaces={each}" for each in stage), PARAMS)


def weights_of(project: Path, name: str) -> str | None:
    """Return the sha256 of the newest weights that a stage trained; None of one that trains nothing."""
    if name not in MODELS:
        return None
    files = sorted((project / "data" / ENV / "06_models" / MODELS[name]).glob("**/*.safetensors"))
    return hashlib.sha256(files[-1].read_bytes()).hexdigest()


def without_results(project: Path, copy: Path, tables: tuple[str, ...]) -> Path:
    """Copy a project in which everything has run, and forget some tables and all their shards."""
    shutil.copytree(project, copy)
    for table in tables:
        for found in [
            *(copy / "data" / ENV).glob(f"*/{table}.parquet"),
            *(copy / "data" / ENV).glob(f"*/shards/{table}"),
        ]:
            shutil.rmtree(found)
    return copy


def run_and_kill(project: Path, pipelines: str, kill: Kill, *arguments: str) -> bool:
    """Run and kill; returns whether the run was still going on then."""
    code = "" if kill.rename is None else AT_A_RENAME.format(n=kill.rename, after=kill.after)
    named = asked(pipelines) if not arguments else (f"--env={ENV}", f"--pipelines={pipelines}", PARAMS, *arguments)
    process = kedro_start(project, "run", *named, code=code)
    if kill.seconds is not None:
        while process.poll() is None and not shard_files(project, TABLES[pipelines], "lock"):
            time.sleep(0.02)
        time.sleep(kill.seconds)
        process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def shard_files(project: Path, tables: tuple[str, ...], pattern: str) -> list[Path]:
    """Return files of the shards of some tables."""
    return [file for table in tables for file in (project / "data" / ENV).glob(f"*/shards/{table}/{pattern}")]


def digests(project: Path, tables: tuple[str, ...]) -> dict[str, str]:
    """Return the sha256 of the newest version of each table, of its rows in quarantine too."""
    found = {}
    for table in tables:
        (folder,) = (project / "data" / ENV).glob(f"*/{table}.parquet")
        files = [file for file in sorted(folder.glob("*/*"), reverse=True) if file.suffix == ".parquet"]
        found[table] = hashlib.sha256(files[0].read_bytes()).hexdigest()
    return found


def finished_rows(project: Path, tables: tuple[str, ...]) -> dict[str, int]:
    """Return how many rows of each table lie in shards that have a manifest; a row is an id that went in."""
    return {
        table: sum(json.loads(file.read_text())["ids"] for file in shard_files(project, (table,), "*/*.json"))
        for table in tables
    }


def reused_rows(terminal: str) -> dict[str, int]:
    """Read from the log how many rows of each table were not made again."""
    return {name: int(n) for name, n in re.findall(r"(\w+): (\d+) rows reused, \d+ made", terminal)}


def trial(reference: Path, copy: Path, pipeline: str, kill: Kill) -> str:
    """Kill, run again, compare; returns `ok`, `not killed` (it was done before), or what is wrong."""
    tables = TABLES[pipeline]
    project = without_results(reference, copy, tables)
    if pipeline in MODELS:
        shutil.rmtree(project / "data" / ENV / "06_models" / MODELS[pipeline])
    if not run_and_kill(project, pipeline, kill):
        return "not killed"
    finished = finished_rows(project, tables)
    again = kedro_run(project, *asked(pipeline))
    if again.returncode:
        return f"the second run failed: {again.stdout[-500:]}{again.stderr[-500:]}"
    reused = reused_rows(again.stdout)
    if any(reused[table] != finished[table] for table in tables):
        return f"shards finished before the kill were made again: {finished=}, {reused=}"
    wanted, made = digests(reference, tables), digests(project, tables)
    wrong = [table for table in tables if wanted[table] != made[table]]
    wrong += [] if weights_of(reference, pipeline) == weights_of(project, pipeline) else [MODELS[pipeline]]
    return f"other bytes in {wrong}" if wrong else f"ok ({sum(finished.values())} rows were there and were kept)"


def main() -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of every pipeline")
    parser.add_argument("--pipelines", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", action="store_true", help="kill trainings, and no pipelines")
    parser.add_argument("--only", nargs="+", help="of the trainings, by name: sft, ppo, engraving, …")
    arguments = parser.parse_args()
    if arguments.trainings:
        from benchmarks.kill_trainings import kill_all  # noqa: PLC0415 - with torch, in the place of a project

        return kill_all(arguments.kills, arguments.seed, arguments.only)
    rng, wrong = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        reference = copy_project(Path(folder) / "reference")
        for pipelines in before(arguments.pipelines):
            done = kedro_run(reference, f"--env={ENV}", f"--pipelines={pipelines}", PARAMS)
            if done.returncode:
                print(done.stdout[-2000:], done.stderr[-2000:])
                return 1
        for pipeline in arguments.pipelines:
            seconds, renames = effort(reference, Path(folder) / "alone", pipeline)
            number = 0
            while number < arguments.kills:
                kill = _draw(rng, number, seconds, renames)
                said = trial(reference, Path(folder) / "trial", pipeline, kill)
                shutil.rmtree(Path(folder) / "trial")
                print(f"{pipeline}, kill {number + 1} of {arguments.kills}, {kill}: {said}", flush=True)
                number += said != "not killed"
                wrong += not said.startswith(("ok", "not killed"))
    print(f"{wrong} of {arguments.kills * len(arguments.pipelines)} kills went wrong")
    return int(wrong > 0)


def before(pipelines: list[str]) -> list[str]:
    """Return what is run before the kills; SELF-ALIGN needs the pretrained model alone."""
    aligns = ["self_align"] if {*pipelines} & {*STAGES} else []
    labels = "preference_labeling" in pipelines
    first = BEFORE if {*pipelines} - {*STAGES} else "base_model"
    return [first, *(["preference_labeling"] if labels else []), *aligns]


def effort(reference: Path, copy: Path, pipeline: str) -> tuple[float, int]:
    """Return for how many seconds a pipeline makes shards when nothing interrupts it, and how many renames it does."""
    tables = TABLES[pipeline]
    alone = without_results(reference, copy, tables)
    kedro_run(alone, *asked(pipeline))
    times = [file.stat().st_mtime for file in shard_files(alone, tables, "*/*.json")]
    shutil.rmtree(alone)
    return max(times) - min(times), 2 * (len(times) + len(tables))


def _draw(rng: random.Random, number: int, seconds: float, renames: int) -> Kill:
    if number % 2:
        return Kill(rename=rng.randint(1, renames), after=rng.random() < 0.5)
    return Kill(seconds=rng.uniform(0.0, seconds))


if __name__ == "__main__":
    raise SystemExit(main())
