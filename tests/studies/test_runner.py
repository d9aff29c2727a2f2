"""Which chain begins when, on processes that only sleep."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cai_kedro.studies import runner
from cai_kedro.studies.chains import FINISHED, STATUS, Chain, chains_of, write_json
from cai_kedro.studies.runner import run_chains, shared_threads
from cai_kedro.studies.study_file import Study

#: Writes when it begins and ends into one file, appends whole lines, and its status as a chain does.
_SLEEPER = """
import json, os, sys, time
from pathlib import Path
folder, log = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
name = f"{folder.parent.name} {folder.name}"
log.write(f"begin {name} {os.environ['OMP_NUM_THREADS']}\\n")
time.sleep(float(sys.argv[3]))
code = int("broken" in folder.name)
status = {"state": "failed" if code else "finished", "attempts": [{"seconds": 0.1}]}
(folder / "status.json").write_text(json.dumps(status))
log.write(f"end {name}\\n")
sys.exit(code)
"""


@pytest.fixture
def chains(tmp_path: Path) -> list[Chain]:
    settings = {name: {"about": "x", "parameters": {"x": name}} for name in ("default", "other", "broken")}
    study = Study.model_validate({"about": "x", "env": "smoke", "seeds": (0, 1, 2), "settings": settings})
    made = chains_of(study, tmp_path)
    for chain in made:
        chain.folder.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def sleepers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Let chains sleep, for `seconds`."""
    how = {"seconds": 0.3}

    def start(folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _SLEEPER, str(folder), str(tmp_path / "events"), str(how["seconds"])]
        return subprocess.Popen(command, env=dict(environment))

    monkeypatch.setattr(runner, "_start", start)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    return how


def events(tmp_path: Path) -> list[list[str]]:
    return [line.split() for line in (tmp_path / "events").read_text().splitlines()]


def at_once(told: list[list[str]]) -> int:
    """Return how many chains were at work at most."""
    now = most = 0
    for event, *_ in told:
        now += 1 if event == "begin" else -1
        most = max(most, now)
    return most


def test_by_default_chains_run_one_after_another_in_their_order(chains: list[Chain], tmp_path: Path) -> None:
    lines: list[str] = []
    failed = run_chains(chains, lines.append)
    assert [chain.told for chain in failed] == [f"seed {seed}, broken" for seed in range(3)]
    told = events(tmp_path)
    assert [event[1:3] for event in told[::2]] == [[f"seed_{chain.seed}", chain.setting] for chain in chains]
    assert at_once(told) == 1
    assert {event[3] for event in told if event[0] == "begin"} == {"6"}, "all threads are its own"
    assert lines[0].startswith("[1 of 9] seed 0, default: begins; it writes to ")
    assert lines[1] == "[1 of 9] seed 0, default: finished, 0 s"
    assert lines[5] == "[3 of 9] seed 0, broken: failed with exit code 1: it wrote nothing"


@pytest.mark.parametrize("processes", [2, 4])
def test_so_many_are_at_work_each_once_and_the_first_setting_before_the_others(
    processes: int, chains: list[Chain], tmp_path: Path
) -> None:
    lines: list[str] = []
    failed = run_chains(chains, lines.append, processes)
    assert [chain.told for chain in failed] == [f"seed {seed}, broken" for seed in range(3)]
    told = events(tmp_path)
    begun = [" ".join(event[1:3]) for event in told if event[0] == "begin"]
    assert sorted(begun) == sorted(f"seed_{chain.seed} {chain.setting}" for chain in chains)
    assert 2 <= at_once(told) <= processes
    assert {event[3] for event in told if event[0] == "begin"} == {str(6 // processes)}
    for seed in range(3):
        ended = next(at for at, line in enumerate(lines) if f"seed {seed}, default: finished" in line)
        for setting in ("other", "broken"):
            assert ended < next(at for at, line in enumerate(lines) if f"seed {seed}, {setting}: begins" in line)


def test_what_is_finished_is_not_run_again(chains: list[Chain], tmp_path: Path) -> None:
    for chain in chains[:8]:
        write_json(chain.folder / STATUS, {"state": FINISHED, "attempts": [{"seconds": 3.0}]})
    lines: list[str] = []
    assert run_chains(chains, lines.append, 3) == [chains[8]]
    assert [event[1:3] for event in events(tmp_path)] == [["seed_2", "broken"]] * 2
    assert sum(": finished before, 3 s" in line for line in lines) == 8


def test_an_interruption_stops_all_of_them(
    chains: list[Chain], tmp_path: Path, sleepers: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sleepers["seconds"] = 600
    started: list[subprocess.Popen[bytes]] = []
    start = runner._start

    def noted(folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        started.append(start(folder, environment))
        return started[-1]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_start", noted)
    monkeypatch.setattr(runner, "_ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_chains(chains, lambda line: None, 3)
    assert len(started) == 3
    assert all(process.returncode is not None and process.returncode < 0 for process in started)


@pytest.mark.parametrize(("given", "processes", "each"), [("8", 3, "2"), ("2", 4, "1"), (None, 1, None)])
def test_threads_are_divided(
    given: str | None, processes: int, each: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given) if given else monkeypatch.delenv("OMP_NUM_THREADS")
    assert shared_threads(processes).get("OMP_NUM_THREADS") == each


def test_without_a_number_the_threads_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(12)))
    assert shared_threads(4) == {"OMP_NUM_THREADS": "3"}
