"""Head-to-heads as people decided them, from a CSV file."""

import difflib
import logging
import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import DatasetError

from cai_kedro.datasets.prompt_rows import id_of, number_of, text_of
from cai_kedro.datasets.raw_rows import each_row, refuse
from cai_kedro.datasets.row_errors import RowError
from cai_kedro.datasets.row_source import RowSource

logger = logging.getLogger(__name__)

COLUMNS = ("prompt_id", "policy_a", "policy_b", "criterion", "outcome")


@dataclass(frozen=True)
class _Said:
    prompt_id: str
    policy_a: str
    policy_b: str
    criterion: str
    outcome: float

    @property
    def about(self) -> tuple[str, str, str, str]:
        """What was compared, whichever policy is called A."""
        return (self.criterion, self.prompt_id, *sorted((self.policy_a, self.policy_b)))  # type: ignore[return-value]


class RecordedReferee:
    """Outcomes from a CSV (or JSON lines) file with the columns `prompt_id, policy_a, policy_b, criterion, outcome`.

    `outcome` is 1 if A won, 0 if B did, 0.5 for a tie, or a share in between. Several rows about one comparison, A and
    B in either order, are averaged. Answers are not in the file, so it belongs to the answers it was made on.
    """

    #: What was said is about the answers that were shown.
    decides_new_answers = False

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        """Reads the file; raises `DatasetError` that names file, line and fault."""
        self.path = Path(filepath)
        self._source = RowSource.of(filepath=self.path)
        self.rows = each_row(self._source, _said, *COLUMNS)
        if not self.rows:
            raise DatasetError(f"{self.path} holds no comparisons; expected one per line, under a line of column names")

    def digest(self) -> None:
        """Return None: people are no model."""

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        """Return the mean outcome of every meeting, NaN where nobody compared: (n,). Nothing is drawn.

        Raises `DatasetError` for a policy that answered nothing, for a criterion that is no axis, and if the file is
        about none of the meetings.
        """
        self._check("policy", ("policy_a", "policy_b"), {*meetings["policy_a"], *meetings["policy_b"]})
        self._check("criterion", ("criterion",), set(meetings["criterion"]))
        said = defaultdict(list)
        for row in self.rows.values():
            turned = row.policy_a > row.policy_b
            said[row.about].append(1 - row.outcome if turned else row.outcome)
        outcomes, met = [], set()
        for row in meetings.itertuples():
            meeting = _Said(str(row.prompt_id), str(row.policy_a), str(row.policy_b), str(row.criterion), 0.0)
            met.add(meeting.about)
            mean = float(np.mean(said[meeting.about])) if meeting.about in said else np.nan
            outcomes.append(1 - mean if meeting.policy_a > meeting.policy_b else mean)
        self._tell_unmet([line for line, row in self.rows.items() if row.about not in met])
        return np.array(outcomes, dtype=float)

    def _check(self, what: str, columns: Collection[str], known: Collection[str]) -> None:
        faults = []
        for line, row in self.rows.items():
            for name in (getattr(row, column) for column in columns):
                if name not in known:
                    near = difflib.get_close_matches(name, known, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}"
                    faults.append(f"line {line} has the unknown {what} {name!r}; {hint}")
        refuse(self._source, faults)

    def _tell_unmet(self, lines: list[int]) -> None:
        told = (
            f"{len(lines)} of {len(self.rows)} comparisons in {self.path} are about no prompt that these policies "
            f"answered under that criterion, such as line {lines[0] if lines else 0}"
        )
        if len(lines) == len(self.rows):
            raise DatasetError(f"{told}; use the prompt ids of the table policy_responses")
        if lines:
            logger.warning("%s: left out", told)


def _said(row: Mapping[str, Any]) -> _Said:
    prompt_id = id_of(row, "prompt_id")
    a, b, criterion = (text_of(row, column).strip() for column in COLUMNS[1:-1])
    if a == b:
        raise RowError(f"compares the policy {a!r} with itself; expected two different ones")
    outcome = number_of(row, "outcome", 0, 1, "1 (A won), 0.5 (tie), 0 (B won) or a share in between")
    return _Said(prompt_id, a, b, criterion, outcome)
