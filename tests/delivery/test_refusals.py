"""What `kedro export` and `kedro chat` refuse, each with what to do; nothing is loaded or written then."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from cai_kedro.cli import cli
from tests.project_copy import PROJECT, copy_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project in which nothing was run."""
    yield copy_project(tmp_path_factory.mktemp("new"))
    bootstrap_project(PROJECT)


def refused(project: Path, *command: str, env: str = "smoke") -> str:
    result = CliRunner().invoke(cli, [*command, f"--env={env}"], obj=bootstrap_project(project))
    assert result.exit_code == 1, result.output
    return result.output


@pytest.mark.parametrize(
    "command", [("export", "rl_cia", "out"), ("chat", "rl_cia"), ("chat", "sl_cai", "--beside=rl_cia")]
)
def test_a_policy_that_is_none(project: Path, command: tuple[str, ...]) -> None:
    out = refused(project, *command)
    assert "there is no policy 'rl_cia'; did you mean rl_cai? There are pretrained, helpful_rlhf" in out


@pytest.mark.parametrize("command", [("export", "sl_cai", "out"), ("chat", "sl_cai")])
def test_a_policy_that_was_never_trained_names_the_command(
    project: Path, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = refused(project, *command)
    assert "sl_cai.model was not made yet" in out
    assert "`kedro run --env=smoke --to-outputs=sl_cai.model@checkpoint`" in out
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it(project: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    out = refused(project, "export", "sl_cai", str(tmp_path))
    assert "nothing was exported: " in out
    assert "is not empty, it holds thesis.txt" in out


def test_parameters_stand_in_the_command_that_is_named(project: Path, tmp_path: Path) -> None:
    out = refused(project, "export", "sl_cai", str(tmp_path / "out"), "--params=seed=1,rlhf.rl.ppo.rollouts=3")
    assert "`kedro run --env=smoke --params=seed=1,rlhf.rl.ppo.rollouts=3 --to-outputs=sl_cai.model@checkpoint`" in out


@pytest.mark.parametrize("command", [("export", "sl_cai", "out"), ("chat", "sl_cai")])
def test_the_model_of_the_run_is_asked_for_in_one_line(project: Path, command: tuple[str, ...]) -> None:
    (line,) = [line for line in refused(project, *command, env="hub").splitlines() if line.startswith("Error: ")]
    assert "add --params=model=<a directory, a .gguf file, or organisation/name@revision of the hub>" in line
