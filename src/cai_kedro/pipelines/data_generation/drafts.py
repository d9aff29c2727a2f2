"""Responses on their way through the revision rounds, and the principle drawn for each step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from cai_kedro.core.constitution import Constitution, CritiquePrinciple, draw_principle
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.seeding import rng_for
from cai_kedro.core.shards import TROUBLE, Outcome, settle
from cai_kedro.engines.base import Completion
from cai_kedro.engines.fitting import trouble_of

#: What tells one response, and with it one chain of revisions, from another.
ID_COLUMNS = ["prompt_id", "sample"]

_COLUMNS = ["prompt_id", "sample", "step", "principle_id", "critique", "revision", TROUBLE]


@dataclass(frozen=True)
class Draft:
    """A response as the last round left it, with the principle and the critique of that round.

    `trouble` says why it goes no further, None while it does.
    """

    prompt_id: str
    sample: int
    messages: Conversation
    response: str
    principle: CritiquePrinciple | None = None
    critique: str = ""
    trouble: str | None = None


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


def with_text(draft: Draft, what: Literal["critique", "revision"], said: Completion | None, step: int) -> Draft:
    """Put a new critique or revision into a draft; without one, the draft is in trouble."""
    trouble = trouble_of(said)
    if said is None or trouble is not None:
        return replace(draft, trouble=f"{what} {step}: {trouble}")
    text = said.text.strip()
    return replace(draft, critique=text) if what == "critique" else replace(draft, response=text)


def revision_rows(drafts: Sequence[Draft], step: int) -> pd.DataFrame:
    """Write one round as a table of kind `revisions`, and `trouble`; without a critique, `critique` is null."""
    rows = [
        (draft.prompt_id, draft.sample, step, draft.principle.id, draft.critique or None, draft.response, draft.trouble)
        for draft in drafts
        if draft.principle is not None
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).astype({TROUBLE: object})


def one_after_another(rounds: Sequence[pd.DataFrame]) -> Outcome:
    """Join the rounds so that a response's steps stand below each other, prompts in their old order.

    A response that got into trouble at any step is not among them at all, so that every chain is whole.
    """
    return settle(pd.concat(rounds).sort_index(kind="stable").reset_index(drop=True), ID_COLUMNS)
