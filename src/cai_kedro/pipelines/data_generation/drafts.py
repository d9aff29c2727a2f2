"""Responses on their way through the revision rounds, and the principle drawn for each step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from cai_kedro.core.constitution import Constitution, CritiquePrinciple, draw_principle
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.seeding import rng_for

_COLUMNS = ["prompt_id", "sample", "step", "principle_id", "critique", "revision"]


@dataclass(frozen=True)
class Draft:
    """A response as the last round left it, with the principle and the critique of that round."""

    prompt_id: str
    sample: int
    messages: Conversation
    response: str
    principle: CritiquePrinciple | None = None
    critique: str = ""


def first_drafts(prompts: pd.DataFrame, responses: pd.DataFrame) -> list[Draft]:
    """Return the initial responses (`prompts`, `responses`) as drafts; raises `KeyError` for an unknown prompt."""
    messages = {row.prompt_id: as_messages(row.messages) for row in prompts.itertuples()}
    return [Draft(row.prompt_id, row.sample, messages[row.prompt_id], row.response) for row in responses.itertuples()]


def with_principles(drafts: Sequence[Draft], constitution: Constitution, seed: int, step: int) -> list[Draft]:
    """Draw a critique principle for each draft, with replacement (§3.1): by prompt, sample and step alone."""
    return [
        replace(
            draft,
            principle=draw_principle(
                constitution.critique_principles, rng_for(seed, "critique", draft.prompt_id, draft.sample, step)
            ),
            critique="",
        )
        for draft in drafts
    ]


def with_responses(drafts: Sequence[Draft], texts: Sequence[str]) -> list[Draft]:
    """Put the new texts in place of the responses; an empty text leaves the response as it is."""
    return [replace(draft, response=text or draft.response) for draft, text in zip(drafts, texts, strict=True)]


def revision_rows(drafts: Sequence[Draft], step: int) -> pd.DataFrame:
    """Write one round as a table of kind `revisions`; an empty critique is null."""
    rows = [
        (draft.prompt_id, draft.sample, step, draft.principle.id, draft.critique or None, draft.response)
        for draft in drafts
        if draft.principle is not None
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def one_after_another(rounds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rounds so that a response's steps stand below each other, prompts in their old order."""
    return pd.concat(rounds).sort_index(kind="stable").reset_index(drop=True)
