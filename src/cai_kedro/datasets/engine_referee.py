"""A language model that decides head-to-heads."""

import logging
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.utils import find_kedro_project

from cai_kedro.core.conversation import as_messages
from cai_kedro.datasets.engine_kinds import engine_kind
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.weight_files import weights_digest
from cai_kedro.judging.comparer import Case, compare

logger = logging.getLogger(__name__)


class EngineReferee:
    """Asks a model the question of an axis about two answers, in both orders.

    The log-probabilities of the letters decide: the answer with the higher mean probability wins, equal answers tie.
    The model is loaded, or its server asked, when there is something to decide.
    """

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
        return None if self._directory is None else weights_digest(self._directory)

    def check(self) -> str | None:
        """Ask a server or a cluster for a little; return what is wrong with it, None if nothing is."""
        return self._kind.check()

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        """Return 1 where the model prefers A, 0 where B, 0.5 where neither: (n,). Nothing is drawn."""
        cases = [
            Case(as_messages(row.messages), row.response_a, row.response_b, str(row.question))
            for row in meetings.itertuples()
        ]
        p_a = compare(self._engine, cases, both_orders=True).a_better
        if np.isnan(p_a).any():
            logger.warning(
                "%d of %d head-to-heads do not fit into the referee's context, such as one at %r: left out",
                np.isnan(p_a).sum(),
                len(p_a),
                meetings["prompt_id"][np.isnan(p_a)].iloc[0],
            )
        same = (meetings["response_a"] == meetings["response_b"]).to_numpy()
        return np.where(same, 0.5, (np.sign(p_a - 0.5) + 1) / 2)

    @cached_property
    def _engine(self) -> TextEngine:
        return self._kind.load(self._directory or Path())


def _check_server(engine: Mapping[str, Any], model: object) -> None:
    """Raise `ValueError` for a server that reads no letters, or that is given a model of files."""
    if model is not None:
        raise ValueError(f"a server has its own model, and {model} is given too; leave out path, repo and revision")
    if engine.get("logprobs") == "none":
        raise ValueError(
            "a referee reads the log-probabilities of two letters, and the server's `logprobs` is none; set echo or "
            "next_token, as the server can (docs/guides/server.md)"
        )
