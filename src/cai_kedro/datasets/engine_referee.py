"""A language model that decides head-to-heads."""

import logging
import os
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from kedro.utils import find_kedro_project

from cai_kedro.core.conversation import as_messages
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.loading import LocalSettings
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.precision import DType
from cai_kedro.engines.weight_files import weights_digest
from cai_kedro.judging.comparer import Case, compare

logger = logging.getLogger(__name__)


class EngineReferee:
    """Asks a model the question of an axis about two answers, in both orders.

    The log-probabilities of the letters decide: the answer with the higher mean probability wins, equal answers tie.
    The model is loaded when it is first asked.
    """

    def __init__(
        self,
        *,
        device: str,
        dtype: DType,
        max_batch_tokens: int,
        path: str | os.PathLike[str] | None = None,
        repo: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Raises `ValueError` for a directory that is no model.

        Args:
            device: where the model computes, `cpu` or `cuda`.
            dtype: precision it computes in.
            max_batch_tokens: how many tokens, padding included, one batch may hold.
            path: the model's directory, relative to the project, or
            repo: a repository of the hub and
            revision: the 40 digits of one commit of it.
        """
        reference = ModelReference(path=path and os.fspath(path), repo=repo, revision=revision)
        self._reference = reference.at(find_kedro_project(Path.cwd()) or Path.cwd())
        self._directory = self._reference.directory()
        self._settings = LocalSettings(device=device, dtype=dtype, max_batch_tokens=max_batch_tokens)

    def digest(self) -> str:
        """Return the digest of the weights."""
        return weights_digest(self._directory)

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
        return self._settings.engine_on(self._reference.load())
