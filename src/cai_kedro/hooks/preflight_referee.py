"""Whether a referee that learned from people learned from what the run itself learns from."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.held_out import written_alike
from cai_kedro.core.judging import MeasuredReferee

#: What a run trains on of what people give.
_TRAINED_ON = ("given_red_team_prompts", "given_helpful_prompts", "human_raters")


def referee_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell which data of the training share conversations with those that the referee learns from.

    The policies are trained to please what they learned from: a referee that learned from it too is no other opinion.
    What cannot be loaded is told elsewhere.
    """
    for name in sorted(pipeline.inputs()):
        # only objects that the catalog builds have kinds, and they are quick to build
        referee = _loaded(name, catalog) if hasattr(catalog.get(name), "KINDS") else None
        if not isinstance(referee, MeasuredReferee):
            continue
        learned = referee.conversations()
        for given in _TRAINED_ON:
            shared = [each for each in _conversations(_loaded(given, catalog)) if each in learned]
            if shared:
                yield (
                    f"the referee {name!r} learns from {len(shared)} conversations that also stand in {given!r}, from "
                    f"which the run learns, such as {shared[0][-1][1][:60]!r}: its verdict would be no other opinion. "
                    f"Give the referee other comparisons, or leave these out of one of the two files"
                )


def _loaded(name: str, catalog: CatalogProtocol) -> Any:
    try:
        return catalog.load(name)
    except Exception:  # the check of the inputs tells it, where the run reads it
        return None


def _conversations(given: Any) -> list[tuple[tuple[str, str], ...]]:
    table = given if isinstance(given, pd.DataFrame) else getattr(given, "comparisons", None)
    if table is None:
        return []
    return list(dict.fromkeys(written_alike(as_messages(cell)) for cell in table["messages"]))
