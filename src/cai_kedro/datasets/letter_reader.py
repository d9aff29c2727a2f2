"""A model that an entry of the catalog asks for letters: the referee, the judge."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.utils import find_kedro_project

from cai_kedro.datasets.engine_kinds import engine_kind
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_reference import ModelReference, model_digest


class LetterReader:
    """A model that is loaded, or whose server is asked, when there is something to decide."""

    def __init__(
        self,
        *,
        engine: Mapping[str, Any],
        path: str | os.PathLike[str] | None = None,
        repo: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Raises `ValueError` for a directory that is no model, and for a server that is told to read one.

        Args:
            engine: who answers, `kind` and its settings (`datasets.engine_kinds`). A server has its own model; for any
                other one give
            path: the model's directory, relative to the project, or
            repo: a repository of the hub and
            revision: the 40 digits of one commit of it.
        """
        self._directory: Path | None = None
        self._kind = engine_kind(engine)
        if not self._kind.reads_files:
            _check_server(engine, path or repo)
            return
        reference = ModelReference(path=path and os.fspath(path), repo=repo, revision=revision)
        self._directory = reference.at(find_kedro_project(Path.cwd()) or Path.cwd()).directory()

    def digest(self) -> str | None:
        """Return the digest of the weights; None of a server, which tells nobody what it reads."""
        return None if self._directory is None else model_digest(self._directory)

    @property
    def server(self) -> tuple[str, ...] | None:
        """Address and name of a model on a server, None of any other one."""
        return self._kind.server

    def check(self) -> str | None:
        """Ask a server or a cluster for a little; return what is wrong with it, None if nothing is."""
        return self._kind.check()

    @cached_property
    def engine(self) -> TextEngine:
        """The model, ready to be asked."""
        return self._kind.load(self._directory or Path())


def _check_server(engine: Mapping[str, Any], model: object) -> None:
    """Raise `ValueError` for a server that reads no letters, or that is given a model of files."""
    if model is not None:
        raise ValueError(f"a server has its own model, and {model} is given too; leave out path, repo and revision")
    if engine.get("logprobs") == "none":
        raise ValueError(
            "a referee or judge reads the log-probabilities of letters, and the server's `logprobs` is none; set echo "
            "or next_token, as the server can (docs/guides/server.md)"
        )
