"""Every table and figure: written aside, whole or not at all, and refused when a single bit of it is another."""

import logging
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError, Version

from cai_kedro.core.conversation import user
from cai_kedro.datasets.csv_dataset import CsvDataset
from cai_kedro.datasets.figure_dataset import FigureDataset
from cai_kedro.datasets.file_dataset import FileDataset
from cai_kedro.datasets.json_dataset import JsonDataset
from cai_kedro.datasets.metrics_dataset import MetricsDataset
from cai_kedro.datasets.parquet_dataset import ParquetDataset
from cai_kedro.datasets.table_dataset import TableDataset
from cai_kedro.datasets.text_dataset import TextDataset

VERSIONS = ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z")
ROWS = pd.DataFrame({"policy": ["a", "b"], "value": [0.5, None], "text": ["Tell me more. " * 20, "=1+1"]})
PROMPTS = pd.DataFrame({"prompt_id": ["p"], "messages": [[user("Hi")]], "source": "given", "split": "train"})
FIGURE = go.Figure(go.Scatter(x=[1, 2], y=[3.0, 4.5]))

#: Each kind of file: how it is opened, and what it holds.
KINDS: dict[str, tuple[Callable[..., FileDataset[Any, Any]], Any]] = {
    "t.csv": (CsvDataset, ROWS),
    "r.json": (JsonDataset, [{"id": "p", "text": "é"}]),
    "f.json": (FigureDataset, FIGURE),
    "m.json": (MetricsDataset, {"a": {"value": 0.5, "low": None, "high": None, "n": 2}}),
    "page.html": (TextDataset, "<p>é\r\n</p>"),
    "u.parquet": (ParquetDataset, ROWS),
    "k.parquet": (lambda **place: TableDataset(kind="prompts", **place), PROMPTS),
}
every_kind = pytest.mark.parametrize("name", KINDS)


def dataset(folder: Path, name: str, version: str | None = None) -> FileDataset[Any, Any]:
    return KINDS[name][0](filepath=folder / name, version=Version(None, version) if version else None)


def same(one: Any, other: Any) -> bool:
    return one.equals(other) if isinstance(one, pd.DataFrame) else bool(one == other)


@every_kind
def test_it_comes_back_and_is_a_plain_file_beside_its_digest(name: str, tmp_path: Path) -> None:
    stored = dataset(tmp_path, name)
    stored.save(KINDS[name][1])
    assert same(stored.load(), KINDS[name][1])
    assert sorted(file.name for file in tmp_path.iterdir()) == [name, f"{name}.sha256"]
    subprocess.run(["sha256sum", "--check", f"{name}.sha256"], cwd=tmp_path, check=True, capture_output=True)


@every_kind
def test_a_flipped_bit_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    stored = dataset(tmp_path, name)
    stored.save(KINDS[name][1])
    rng = random.Random(0)
    for file in (tmp_path / name, tmp_path / f"{name}.sha256"):
        whole = file.read_bytes()
        digits = len(whole) if file.name == name else 64
        for place in rng.choices(range(digits), k=40):
            content = bytearray(whole)
            content[place] ^= 1 << rng.randrange(8)
            file.write_bytes(content)
            with pytest.raises(DatasetError, match=rf"{re.escape(name)} is not what was written: .* make it again"):
                stored.load()
        file.write_bytes(whole)
    assert same(stored.load(), KINDS[name][1])


@every_kind
def test_what_was_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    stored = dataset(tmp_path, name)
    stored.save(KINDS[name][1])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(DatasetError, match="is not what was written"):
        stored.load()


def test_a_file_of_an_earlier_version_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ROWS.to_csv(tmp_path / "t.csv", index=False)
    for _ in range(2):
        assert len(dataset(tmp_path, "t.csv").load()) == 2
    assert caplog.messages == [
        f"{tmp_path}/t.csv has no t.csv.sha256 beside it, so nobody can tell whether it is damaged"
    ]


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.datasets.test_file_datasets import KINDS, VERSIONS, dataset

# the kernel refuses to write more than so many bytes into one file, as it does on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (80, resource.RLIM_INFINITY))
for name in KINDS:
    data = KINDS[name][1]
    try:
        dataset(Path(sys.argv[1]), name, VERSIONS[1]).save(data * 100 if isinstance(data, str | list) else data)
    except Exception as error:
        print(error)
"""


@pytest.fixture(scope="module")
def after_a_full_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with one good version of each kind in which another process failed to write a second, and its lines."""
    folder, root = tmp_path_factory.mktemp("full"), str(Path(__file__).parents[2])
    for name, (_, data) in KINDS.items():
        dataset(folder, name, VERSIONS[0]).save(data)
    command = [sys.executable, "-W", "ignore", "-c", FULL, str(folder), root]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return folder, done.stdout.splitlines()


@every_kind
def test_a_full_disk_leaves_the_version_before(name: str, after_a_full_disk: tuple[Path, list[str]]) -> None:
    folder, lines = after_a_full_disk
    (told,) = [line for line in lines if f"/{name} " in line]
    assert told.startswith(f"there is no room on the disk for {folder}/{name}/{VERSIONS[1]}/{name}")
    assert [file.name for file in (folder / name / VERSIONS[1]).iterdir()] == []
    assert same(dataset(folder, name, VERSIONS[1]).load(), KINDS[name][1])  # the newest there is


def test_an_unversioned_page_outlives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = dataset(tmp_path, "page.html")
    page.save("before")
    real = Path.write_bytes

    def write_half(path: Path, content: bytes) -> int:
        if path.name.startswith(".page.html.sha256"):
            return real(path, content)
        real(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(DatasetError, match="there is no room on the disk"):
        page.save("after, longer")
    monkeypatch.undo()
    assert page.load() == "before"
    assert len(list(tmp_path.iterdir())) == 2


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("versioned", [True, False])
def test_what_dead_processes_left_is_removed_and_what_others_write_is_not(versioned: bool, tmp_path: Path) -> None:
    folder = tmp_path / "t.csv" / VERSIONS[0] if versioned else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    ours = socket.gethostname()
    half, running, elsewhere = (
        folder / f".t.csv.{process}.part"
        for process in (f"{ours}.{dead_process()}", f"{ours}.{os.getppid()}", f"another-{ours}.{dead_process()}")
    )
    for part in (half, running, elsewhere):
        part.mkdir()
        (part / "config.json").write_text("{")
    dataset(tmp_path, "t.csv", VERSIONS[1] if versioned else None).save(ROWS)
    assert [part.exists() for part in (half, running, elsewhere)] == [False, True, True]


def test_kedro_viz_is_shown_the_figure(tmp_path: Path) -> None:
    """It calls `preview` and goes by the name of the type that this is annotated with."""
    stored = FigureDataset(filepath=tmp_path / "f.json")
    stored.save(FIGURE)
    assert stored.preview()["data"][0]["x"] == [1, 2]
    assert FigureDataset.preview.__annotations__["return"].__name__ == "PlotlyPreview"


def test_text_comes_back_from_csv_as_it_was_and_is_no_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-x", "@a", "\tb", "'=1", "'", "null", "NA", "a\n=b", "\n=1", "＝1", 'say "hi", you', "é"]
    table = pd.DataFrame({"text": texts, "value": [-1.5, *range(len(texts) - 1)], "=name()": 0})
    stored = CsvDataset(filepath=tmp_path / "t.csv")
    stored.save(table)
    assert stored.load().equals(table)
    cells = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    for names in (cells["text"], pd.Series(cells.columns)):
        assert not names.str.startswith(("=", "＝", "+", "-", "@", "\t", "\n")).any()
    assert cells["value"][0] == -1.5


def test_a_number_that_is_none_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not JSON compliant"):
        JsonDataset(filepath=tmp_path / "r.json").save([{"value": float("nan")}])
    assert not list(tmp_path.iterdir())


def test_nothing_is_logged_of_a_whole_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dataset(tmp_path, "t.csv").save(ROWS)
        shutil.copytree(tmp_path, tmp_path.with_name("copy"))
        dataset(tmp_path.with_name("copy"), "t.csv").load()
    assert caplog.messages == []
