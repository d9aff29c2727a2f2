"""`cai-kedro init` from a clone: what a new project holds, and what it refuses. The wheel: tests/test_wheel.py."""

import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.startup import _get_project_metadata

from cai_kedro import __version__
from cai_kedro.starter import material
from cai_kedro.starter.command import cli
from cai_kedro.starter.material import material_files, material_root
from cai_kedro.starter.project import make_project

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("studies") / 'my "own" study')


def test_a_new_project_has_conf_prompts_and_guides_as_they_are_here(study: Path) -> None:
    for file in (
        "conf/base/catalog_inputs.yml",
        "conf/base/constitution/critique_principles.yml",
        "conf/hub/parameters.yml",
        "conf/logging.yml",
        "conf/local/.gitkeep",
        "conf/base/credentials.template.yml",
        "data/01_raw/given_red_team_prompts.jsonl",
        "docs/guides/own_models.md",
    ):
        assert (study / file).read_bytes() == (PROJECT / file).read_bytes()


def test_kedro_takes_it_for_a_project_of_the_installed_package(study: Path) -> None:
    project = _get_project_metadata(study)
    assert (project.package_name, project.project_name) == ("cai_kedro", 'my "own" study')
    assert project.source_dir == study / "src"
    assert project.source_dir.is_dir()
    assert set(tomllib.loads((study / "pyproject.toml").read_text())) == {"tool"}, "it is no package of its own"


def test_the_small_files_are_filled_in(study: Path) -> None:
    assert (study / "README.md").read_text().startswith(f'# my "own" study\n\nA project of `cai_kedro` {__version__}:')
    assert (study / ".telemetry").read_text() == "consent: false\n"
    assert "/conf/local/*" in (study / ".gitignore").read_text().splitlines()
    assert not [file for file in study.rglob("*") if file.is_file() and b"{{ " in file.read_bytes()[:2000]]


def test_what_git_keeps_is_what_a_project_gets() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "conf", "data/01_raw", "docs/*.md", "notebooks/*.ipynb"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("no git here")
    assert set(listed.stdout.splitlines()) <= {file.as_posix() for file in material_files(PROJECT)}


def test_what_people_keep_to_themselves_stays_at_home(tmp_path: Path) -> None:
    for name in (
        "conf/base/parameters.yml",
        "conf/base/credentials.yml",
        "conf/base/credentials.template.yml",
        "conf/local/.gitkeep",
        "conf/local/credentials.yml",
        "conf/local/catalog.yml",
        "conf/local/deep/er.yml",
        "data/01_raw/__pycache__/a.pyc",
        "data/02_intermediate/rows.parquet",
        "docs/images/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [file.as_posix() for file in material_files(tmp_path)] == [
        "conf/base/credentials.template.yml",
        "conf/base/parameters.yml",
        "conf/local/.gitkeep",
    ]


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["init", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert f"  cd {tmp_path / 'new'}\n  kedro run --env=smoke" in result.output
    assert (tmp_path / "new" / "pyproject.toml").is_file()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["init", str(tmp_path)]).exit_code == 0


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    result = CliRunner().invoke(cli, ["init", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty, it holds thesis.txt; give a new or an empty folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    result = CliRunner().invoke(cli, ["init", str(tmp_path / "thesis.txt")])
    assert "is a file; give the name of a folder that is not there yet" in result.output


def test_an_installation_without_material_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "__file__", str(tmp_path / "site" / "cai_kedro" / "starter" / "material.py"))
    with pytest.raises(FileNotFoundError, match="has no conf to begin with"):
        material_root()
