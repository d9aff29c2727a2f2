"""Where comparisons come from: whose answers are compared, to which objective, and by whom (§4.1)."""

from dataclasses import dataclass
from typing import Literal

Maker = Literal["people", "labeller", "thinker"]


@dataclass(frozen=True)
class Source:
    """One table of comparisons.

    `answers` says whose answers are compared: those of the pretrained model or those of the supervised policy. `maker`
    is None where `lineage.helpfulness` says who compares.
    """

    objective: str
    pairs: str
    answers: Literal["base", "supervised"]
    maker: Maker | None


#: By the name that an arm gives under `comparisons`; the table is `{name}_comparisons`.
SOURCES = {
    "human_helpfulness": Source("helpfulness", "human_helpful_pairs", "base", "people"),
    "human_red_team_helpfulness": Source("helpfulness", "human_red_team_pairs", "base", "people"),
    "human_harmlessness": Source("harmlessness", "human_red_team_pairs", "base", "people"),
    "ai": Source("harmlessness", "harmlessness_pairs", "supervised", "labeller"),
    "ai_cot": Source("harmlessness", "harmlessness_pairs", "supervised", "thinker"),
    "sl_helpfulness": Source("helpfulness", "sl_helpful_pairs", "supervised", None),
}

#: In the place of the table of people where the labeller compares: a name says who made a table.
LABELLED_HELPFULNESS = "ai_helpfulness_comparisons"


def table_of(source: str, maker: Maker) -> str:
    """Return the catalog's name for the comparisons of a source that this maker makes."""
    return LABELLED_HELPFULNESS if source == "sl_helpfulness" and maker == "labeller" else f"{source}_comparisons"
