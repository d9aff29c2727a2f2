"""Nothing is made twice, nothing half is kept, and nothing damaged is used."""

import logging
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, quarantine_table
from cai_kedro.datasets.shards_dataset import ShardsDataset
from cai_kedro.templates.shards import plan_shards
from tests.conftest import ScriptedEngine

N, SIZE = 40, 10


class Maker:
    """Makes answers and counts for how many rows it was asked; stops like a crash before shard `crash_at`."""

    def __init__(self, crash_at: int | None = None, troubled: int = 0) -> None:
        self.rows = 0
        self.shards = 0
        self._crash_at, self._troubled = crash_at, troubled

    def __call__(self, part: pd.DataFrame) -> Outcome:
        if self.shards == self._crash_at:
            raise KeyboardInterrupt
        self.shards += 1
        self.rows += len(part)
        bad = part["prompt_id"].str[1:].astype(int) < self._troubled
        rows = part.assign(sample=0, policy="x", response="Answer to " + part["prompt_id"])[~bad]
        reasons = dict.fromkeys(part["prompt_id"][bad], "the completion is empty")
        return Outcome(rows.reset_index(drop=True), quarantine_table(reasons))


def plan(make: Callable[[pd.DataFrame], Outcome], seed: int = 0, max_quarantined: float = 0.0) -> ShardPlan:
    return plan_shards(
        pd.DataFrame({"prompt_id": [f"p{i}" for i in range(N)]}),
        make,
        ShardParams(prompts=SIZE, max_quarantined=max_quarantined),
        id_columns=["prompt_id"],
        engine=ScriptedEngine(),
        decided_by={"seed": seed},
        kind="responses",
    )


def dataset(folder: Path, version: int = 1) -> ShardsDataset:
    return ShardsDataset(
        filepath=folder / "x_responses.parquet", kind="responses", version=Version(None, f"2026-01-0{version}")
    )


def files(folder: Path, ending: str) -> list[Path]:
    return sorted((folder / "shards" / "x_responses").glob(f"*/*.{ending}"))


@pytest.fixture
def finished(tmp_path: Path) -> bytes:
    """The bytes of a table that was made without an interruption, its shards still there."""
    dataset(tmp_path).save(plan(Maker()))
    return published(tmp_path, 1)


def published(folder: Path, version: int) -> bytes:
    return (folder / "x_responses.parquet" / f"2026-01-0{version}" / "x_responses.parquet").read_bytes()


def test_a_plan_becomes_a_table_in_the_order_of_its_prompts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        dataset(tmp_path).save(plan(Maker()))
    assert caplog.messages == ["x_responses: 0 rows reused, 40 made, 0 quarantined"]
    table = dataset(tmp_path).load()
    assert table["prompt_id"].tolist() == [f"p{i}" for i in range(N)]
    assert table["response"][7] == "Answer to p7"
    assert len(files(tmp_path, "parquet")) == len(files(tmp_path, "json")) == 4


def test_the_same_again_makes_nothing(tmp_path: Path, finished: bytes, caplog: pytest.LogCaptureFixture) -> None:
    again = Maker()
    with caplog.at_level(logging.INFO):
        dataset(tmp_path, 2).save(plan(again))
    assert again.rows == 0
    assert caplog.messages == ["x_responses: 40 rows reused, 0 made, 0 quarantined"]
    assert published(tmp_path, 2) == finished


def test_what_was_finished_before_a_crash_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        dataset(tmp_path).save(plan(Maker(crash_at=3)))
    assert not dataset(tmp_path).exists()
    again = Maker()
    dataset(tmp_path, 2).save(plan(again))
    assert again.shards == 1
    whole = tmp_path / "whole"
    dataset(whole).save(plan(Maker()))
    assert published(tmp_path, 2) == published(whole, 1)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "a flipped bit": ("parquet", flip, "sha256 differs"),
    "cut off": ("parquet", lambda file: file.write_bytes(file.read_bytes()[:-20]), "sha256 differs"),
    "emptied": ("parquet", lambda file: file.write_bytes(b""), "sha256 differs"),
    "deleted": ("parquet", Path.unlink, "No such file"),
    "no manifest": ("json", Path.unlink, "there is no manifest beside it"),
    "half a manifest": ("json", lambda file: file.write_text(file.read_text()[:90]), "its manifest is not whole"),
    "another number in the manifest": (
        "json",
        lambda file: file.write_text(file.read_text().replace('"rows": ', '"rows": 1')),
        "its manifest is not whole",
    ),
    "a list for a manifest": ("json", lambda file: file.write_text("[]"), "its manifest is not whole"),
    "bytes for a manifest": ("json", lambda file: file.write_bytes(b"\xff\xfe"), "its manifest is not whole"),
    "an empty manifest": ("json", lambda file: file.write_text("{}"), "its manifest is not whole"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_named_once_and_made_again(
    damage: str, tmp_path: Path, finished: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ending, spoil, told = DAMAGES[damage]
    spoil(files(tmp_path, ending)[1])
    again = Maker()
    dataset(tmp_path, 2).save(plan(again))
    assert again.shards == 1
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert told in warning.getMessage()
    assert warning.getMessage().endswith("; this shard is made again")
    assert str(files(tmp_path, "parquet")[1]) in warning.getMessage()
    assert published(tmp_path, 2) == finished


def test_any_flipped_bit_of_a_manifest_is_seen(tmp_path: Path) -> None:
    """Also one in the reason of a row in quarantine, which no table has."""
    dataset(tmp_path).save(plan(Maker(troubled=1), max_quarantined=0.1))
    (file,) = [file for file in files(tmp_path, "json") if b"is empty" in file.read_bytes()]
    whole, rng = file.read_bytes(), random.Random(0)
    places = [whole.index(b"is empty") + 1, *rng.sample(range(len(whole)), 12)]
    for version, place in enumerate(places, start=10):
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(7)
        if content.split() == whole.split():
            continue
        file.write_bytes(content)
        again = Maker(troubled=1)
        ShardsDataset(
            filepath=tmp_path / "x_responses.parquet", kind="responses", version=Version(None, f"2026-01-{version}")
        ).save(plan(again, max_quarantined=0.1))
        assert again.shards == 1, (place, whole[place : place + 20])


def test_a_manifest_of_another_shard_is_not_believed(tmp_path: Path, finished: bytes) -> None:
    first, second = files(tmp_path, "parquet")[:2]
    for ending in (".parquet", ".json"):
        first.with_suffix(ending).write_bytes(second.with_suffix(ending).read_bytes())
    again = Maker()
    dataset(tmp_path, 2).save(plan(again))
    assert again.shards == 1
    assert published(tmp_path, 2) == finished


def test_a_change_makes_all_anew_and_going_back_reuses_all(tmp_path: Path, finished: bytes) -> None:
    changed, back = Maker(), Maker()
    dataset(tmp_path, 2).save(plan(changed, seed=1))
    assert changed.rows == N
    dataset(tmp_path, 3).save(plan(back))
    assert back.rows == 0
    assert published(tmp_path, 3) == finished


def test_half_files_of_a_killed_run_are_swept(tmp_path: Path, finished: bytes) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, alive = (f".half.parquet.{socket.gethostname()}.{pid}.part" for pid in (process.pid, os.getppid()))
    halves = [files(tmp_path, "parquet")[0].with_name(name) for name in (dead, alive)]
    for half in halves:
        half.write_text("half")
    dataset(tmp_path, 2).save(plan(Maker()))
    assert [half.exists() for half in halves] == [False, True]


def test_rows_in_quarantine_are_counted_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        dataset(tmp_path).save(plan(Maker(troubled=2), max_quarantined=0.05))
    assert len(dataset(tmp_path).load()) == N - 2
    listed = tmp_path / "x_responses.parquet" / "2026-01-01" / "quarantine.csv"
    assert pd.read_csv(listed).to_dict("list") == {"id": ["p0", "p1"], "reason": ["the completion is empty"] * 2}
    assert caplog.messages[0] == "x_responses: 0 rows reused, 40 made, 2 quarantined"
    assert "2 × the completion is empty (such as 'p0')" in caplog.messages[1]


def test_too_much_in_quarantine_stops_as_soon_as_it_is_known_and_nothing_is_published(tmp_path: Path) -> None:
    told = r"x_responses: \d+ of 40 rows are in quarantine, more than shards.max_quarantined allows \(5.0%\): \d+ × the"
    first = Maker(troubled=N)
    with pytest.raises(DatasetError, match=told):
        dataset(tmp_path).save(plan(first, max_quarantined=0.05))
    assert first.shards == 1
    assert not dataset(tmp_path).exists()
    with pytest.raises(DatasetError, match=told):
        dataset(tmp_path).save(plan(Maker(crash_at=0), max_quarantined=0.05))


def test_a_larger_share_lets_the_same_shards_pass(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"\d of 40 rows are in quarantine"):
        dataset(tmp_path).save(plan(Maker(troubled=3)))
    again = Maker(troubled=3)
    dataset(tmp_path, 2).save(plan(again, max_quarantined=0.1))
    assert again.shards < 4
    assert len(dataset(tmp_path, 2).load()) == N - 3


def test_only_a_plan_can_be_saved(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"x_responses.parquet takes a ShardPlan, got DataFrame"):
        dataset(tmp_path).save(pd.DataFrame())  # type: ignore[arg-type]


HOLD = """
import sys, time
from pathlib import Path
from cai_kedro.datasets.lock import locked

with locked(Path(sys.argv[1]), "x_responses"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    lock = tmp_path / "shards" / "x_responses" / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_runs_on_one_table_are_refused_until_the_first_is_dead(
    tmp_path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DatasetError, match=f"x_responses is being made by another run, process {holder.pid} on "):
        dataset(tmp_path).save(plan(Maker(crash_at=0)))
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    dataset(tmp_path).save(plan(Maker()))
    assert f"x_responses: taken over from process {holder.pid} on " in caplog.messages[0]
    assert len(dataset(tmp_path).load()) == N


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.datasets.test_shards_dataset import Maker, dataset, plan

# the kernel refuses to write more than so many bytes into one file, as it does on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
dataset(Path(sys.argv[1])).save(plan(Maker()))
"""


def test_a_full_disk_is_told_in_one_sentence_and_leaves_no_half_file(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL, str(tmp_path), root], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().split("\n")[-1]
    assert last.startswith("kedro.io.core.DatasetError: there is no room on the disk for ")
    assert last.endswith("free some and start again. What was finished is kept")
    left = [file.name for file in tmp_path.rglob("*") if file.is_file()]
    assert left == ["lock"]
