"""Transcripts and the page."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.constitution import Constitution
from cai_kedro.engines.machine import machine_line
from cai_kedro.reporting.page import Transcripts, build_page
from cai_kedro.reporting.summary import referee_lines
from cai_kedro.reporting.transcripts import Record, answer_records, chain_records, comparison_records
from cai_kedro.templates.selection import choose

#: The last word of a dataset's name.
TRANSCRIPTS, FIGURE = "_transcripts", "_figure"


class ReportingParams(BaseModel):
    """What goes into the report; the values stand in `parameters_reporting.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transcripts: int | None = Field(ge=1, description="of each kind at most; null for all")


def gather_answers(
    policy_prompts: pd.DataFrame,
    policy_responses: pd.DataFrame,
    prompt_axes: pd.DataFrame,
    params: ReportingParams,
    seed: int,
    policy_judgements: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return `{total, records}`: one record a prompt with the answers of all policies."""
    chosen = choose(policy_prompts, params.transcripts, seed, "reporting")
    records = answer_records(chosen, policy_responses, prompt_axes, policy_judgements)
    return _transcripts(records, len(policy_prompts))


def gather_chains(
    red_team_prompts: pd.DataFrame,
    initial_responses: pd.DataFrame,
    revisions: pd.DataFrame,
    direct_revisions: pd.DataFrame,
    params: ReportingParams,
    seed: int,
    revision_scores: pd.DataFrame | None = None,
    revision_judgements: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return `{total, records}`: one record a response with its critiques and revisions."""
    chosen = choose(initial_responses, params.transcripts, seed, "reporting")
    records = chain_records(red_team_prompts, chosen, revisions, direct_revisions, revision_scores, revision_judgements)
    return _transcripts(records, len(initial_responses))


def gather_comparisons(
    red_team_prompts: pd.DataFrame, params: ReportingParams, seed: int, **comparisons: pd.DataFrame
) -> dict[str, Any]:
    """Return `{total, records}`: one record a pair with its labels, such as direct and after a chain of thought."""
    pairs = pd.concat(comparisons.values())[["pair_id"]].drop_duplicates()
    chosen = set(choose(pairs, params.transcripts, seed, "reporting", by="pair_id")["pair_id"])
    tables = (table[table["pair_id"].isin(chosen)] for table in comparisons.values())
    return _transcripts(comparison_records(red_team_prompts, *tables), len(pairs))


def write_report(
    policy_summary: pd.DataFrame,
    not_measured: pd.DataFrame,
    study_verdicts: pd.DataFrame,
    constitution: Constitution,
    machine: dict[str, str],
    seed: int,
    referee_metrics: Mapping[str, Mapping[str, Any]] | None = None,
    **parts: Any,
) -> str:
    """Put everything on one page (HTML); `machine` are the facts of the machine that wrote it.

    `study_verdicts` are those of a study of several seeds, empty without one. `referee_metrics` say how often a referee
    that learned from people is right. `parts` are transcripts, named `{kind}_transcripts`, and figures, named
    `{name}_figure`, in the order of the page.
    """
    kinds = {name: part for name, part in parts.items() if name.endswith(TRANSCRIPTS)}
    return build_page(
        summary=policy_summary,
        figures=[part for name, part in parts.items() if name.endswith(FIGURE)],
        transcripts={
            f"{name.removesuffix(TRANSCRIPTS)}s": Transcripts(part["records"], part["total"])
            for name, part in kinds.items()
        },
        principles=_principles(constitution),
        facts={
            "seed": str(seed),
            "critique principles": str(len(constitution.critique_principles)),
            "preference principles": str(len(constitution.preference_principles)),
            "constitution": f"sha256 {constitution.sha256[:12]}…",
            "machine": machine_line(machine),
        },
        not_measured=list(not_measured["line"]),
        referee=referee_lines(referee_metrics or {}),
        verdicts=study_verdicts,
    )


def _transcripts(records: list[Record], total: int) -> dict[str, Any]:
    return {"total": total, "records": records}


def _principles(constitution: Constitution) -> dict[str, dict[str, dict[str, str]]]:
    """Return the texts of every principle under the names that a reader knows from the layouts."""
    critiques = {
        each.id: {
            "title": each.title,
            "CritiqueRequest": each.critique_request,
            "RevisionRequest": each.revision_request,
        }
        for each in constitution.critique_principles
    }
    preferences = {
        each.id: {"title": each.title, "question": each.question} for each in constitution.preference_principles
    }
    return {"critique": critiques, "preference": preferences}
