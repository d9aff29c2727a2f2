"""The wheel: it holds what a project needs and nothing private, and a project runs outside the clone with it alone.

The dependencies are those of this environment, so that it takes seconds; `make wheel-test` (part of `.ci/run`) installs
the wheel with its declared dependencies into a fresh environment and runs the whole method there.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cai_kedro import __version__

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info", "images")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the clone in which somebody keeps a password."""
    clone = tmp_path_factory.mktemp("clone")
    for folder in ("src", "conf", "data/01_raw", "docs", "notebooks"):
        shutil.copytree(PROJECT / folder, clone / folder, ignore=NOT_COPIED)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(PROJECT / name, clone)
    (clone / "conf" / "local" / "credentials.yml").write_text("my_server: {api_key: not-to-be-told}")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(clone / "dist"), str(clone)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = (clone / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installer makes of the wheel."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return site


def typed(site: Path, folder: Path, *command: str) -> str:
    """Type a command with the installed wheel; neither the clone nor the editable installation comes first."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1",
        },
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_wheel_holds_code_data_licence_and_the_material_of_a_project(wheel: Path) -> None:
    assert wheel.name == f"cai_kedro-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = archive.read(f"cai_kedro-{__version__}.dist-info/METADATA").decode()
    material = "cai_kedro/starter/material"
    assert {
        f"cai_kedro-{__version__}.dist-info/licenses/LICENSE",
        f"cai_kedro-{__version__}.dist-info/licenses/NOTICE",
        "cai_kedro/microworld/micro_lm/model.safetensors",
        "cai_kedro/reporting/assets/report.html",
        "cai_kedro/starter/files/pyproject_toml",
        f"{material}/conf/base/constitution/critique_principles.yml",
        f"{material}/conf/local/.gitkeep",
        f"{material}/data/01_raw/given_red_team_prompts.jsonl",
    } <= names
    assert "License-Expression: Apache-2.0" in about
    assert not [name for name in names if name.endswith("credentials.yml")]
    data = [file for file in (PROJECT / "src" / "cai_kedro").rglob("*") if file.is_file()]
    ours = {f.relative_to(PROJECT / "src").as_posix() for f in data if "__pycache__" not in f.parts}
    assert ours <= names, "package data that no pattern of pyproject.toml names"


def test_a_project_outside_the_clone_runs_with_the_wheel(site: Path, tmp_path: Path) -> None:
    out = typed(site, tmp_path, sys.executable, str(site / "bin" / "cai-kedro"), "init", "my-study")
    assert "cd my-study" in out
    study = tmp_path / "my-study"
    assert (study / "data/01_raw/given_red_team_prompts.jsonl").stat().st_size > 0
    kedro = (
        sys.executable,
        "-c",
        "import cai_kedro; print(cai_kedro.__file__)\nfrom kedro.framework.cli import main; main()",
    )
    out = typed(site, study, *kedro, "run", "--env=smoke", "--pipelines=base_model")
    assert str(site / "cai_kedro") in out
    assert "of memory" in out, "the project's own `run` and hooks are at work"
    assert (study / "data" / "smoke" / "06_models" / "pretrained").is_dir()
    assert "Critique" in typed(site, study, *kedro, "estimate", "--dry-run")
