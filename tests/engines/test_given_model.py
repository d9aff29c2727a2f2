"""`--params=model=…`: what a name stands for, and what is told where it stands for nothing."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cai_kedro.engines.given_model import base_model_of
from cai_kedro.hooks.config_loader import ConfigLoader
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.settings import CONFIG_LOADER_ARGS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    base_model_of.cache_clear()
    yield
    base_model_of.cache_clear()


def parts(source: str, **given: str) -> dict[str, str | None]:
    return {"source": source, "path": None, "gguf": None, "repo": None, "revision": None, **given}


def test_a_name_becomes_the_parameters_of_the_base_model(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    for given, expected in (
        ("models/mine", parts("path", path="models/mine")),
        (str(tmp_path / "models"), parts("path", path=str(tmp_path / "models"))),
        ("models/mine.gguf", parts("gguf", gguf="models/mine.gguf")),
        ("a_package:mine.gguf", parts("gguf", gguf="a_package:mine.gguf")),
        (f"org/name@{COMMIT}", parts("hub", repo="org/name", revision=COMMIT)),
    ):
        assert base_model_of(given, tmp_path) == expected


@pytest.mark.parametrize(("given", "asked"), [("org/name", None), ("org/name@v1.0", "v1.0")])
def test_a_branch_becomes_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, given: str, asked: str | None
) -> None:
    calls: list[tuple[Any, ...]] = []

    def info(self: object, repo: str, *, revision: str | None, timeout: float) -> SimpleNamespace:
        calls.append((repo, revision))
        return SimpleNamespace(sha=COMMIT)

    monkeypatch.setattr("cai_kedro.engines.given_model.HfApi.model_info", info)
    with caplog.at_level(logging.INFO, "cai_kedro"):
        for _ in range(2):  # conf is read more than once in a run
            assert base_model_of(given, tmp_path) == parts("hub", repo="org/name", revision=COMMIT)
    assert calls == [("org/name", asked)]
    assert caplog.messages == [f"the model {given} is org/name at the commit {COMMIT}"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("models-mine", r"which is no directory \(looked in .*\), no file ….gguf and no organisation/name of the hub"),
        ("a/b/c", "which is no directory"),
        ("~nobody_of_that_name/mine", "starts in a home directory that is not known"),
        ("models/mine", r"There is 'mine, v=1', but a comma ends a value of --params"),
        ("org/name", r"model is 'org/name': there is no such directory .* the hub cannot say which commit it is"),
    ],
)
def test_what_is_nowhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, told: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "models" / "mine, v=1").mkdir(parents=True)
    with pytest.raises(ValueError, match=told):
        base_model_of(given, tmp_path)


def test_conf_and_the_command_line_may_name_it(tmp_path: Path) -> None:
    (tmp_path / "conf" / "base").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    file = tmp_path / "conf" / "base" / "parameters.yml"
    base = "base_model: {source: hub, repo: org/name, micro: {steps: 3}}\n"

    def read(**given: str) -> dict[str, Any]:
        loader = ConfigLoader(str(tmp_path / "conf"), env="base", runtime_params=given, **CONFIG_LOADER_ARGS)
        return loader["parameters"]["base_model"]

    file.write_text(base + "model: null\n")
    assert read() == {"source": "hub", "repo": "org/name", "micro": {"steps": 3}}
    assert read(model="mine") == {**parts("path", path="mine"), "micro": {"steps": 3}}
    file.write_text(base + "model: mine\n")
    assert read() == {**parts("path", path="mine"), "micro": {"steps": 3}}
    with pytest.raises(PreflightError, match="nothing was run: model is 'theirs', which is no directory"):
        read(model="theirs")
