"""What SL-CAI is fine-tuned on."""

import logging
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.seeding import derive_seed
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)

_COLUMNS = ["row_id", "prompt_id", "messages", "response", "source", "step"]


class RowParams(BaseModel):
    """Which revisions and helpful answers become rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revisions: Literal["all", "last"] = Field(description="the revisions of all steps, or of the last one only")
    max_revisions: int | None = Field(ge=1, description="at most so many revision rows; null for all")
    max_helpful: int | None = Field(ge=0, description="at most so many helpful rows; null for all")


def build_sl_rows(
    red_team_prompts: pd.DataFrame,
    revisions: pd.DataFrame,
    helpful_prompts: pd.DataFrame,
    helpful_responses: pd.DataFrame,
    params: RowParams,
    seed: int,
) -> pd.DataFrame:
    """Mix revisions and helpful answers (`prompts`, `revisions`, `prompts`, `responses` → `rows`; §3.1, §3.2).

    A revision answers the conversation that its first response answered. The order of the rows is that of a hash of
    `row_id`, so a row that is added moves no other.
    """
    revised = revisions.rename(columns={"revision": "response"}).assign(source="revision")
    if params.revisions == "last":
        revised = revised[revised["step"] == revised["step"].max()]
    helped = helpful_responses.assign(source="helpful", step=0)
    parts = [
        choose(_rows(revised, red_team_prompts), params.max_revisions, seed, "sl_rows", by="row_id"),
        choose(_rows(helped, helpful_prompts), params.max_helpful, seed, "sl_rows", by="row_id"),
    ]
    logger.info("%d revisions and %d helpful answers to fine-tune on", *map(len, parts))
    rows = pd.concat(parts, ignore_index=True)
    order = rows["row_id"].map(lambda row_id: derive_seed(seed, "shuffle", row_id))
    return rows.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def _rows(answers: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """Put the conversation beside each answer; `row_id` is prompt, sample and step."""
    joined = answers.merge(prompts[["prompt_id", "messages"]], on="prompt_id", how="inner", validate="many_to_one")
    ids = [f"{row.prompt_id}.{row.sample}.{row.step}" for row in joined.itertuples()]
    return joined.assign(row_id=pd.Series(ids, index=joined.index, dtype=str))[_COLUMNS]
