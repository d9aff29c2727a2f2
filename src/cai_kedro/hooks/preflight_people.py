"""Whether people compared anything on the prompts that are given."""

from collections.abc import Iterator

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.core.comparison_sources import SOURCES
from cai_kedro.core.judging import RecordedComparisons

#: The given prompts behind each table of pairs.
_PROMPTS = {
    "human_helpful_pairs": "given_helpful_prompts",
    "human_red_team_pairs": "given_red_team_prompts",
    "sl_helpful_pairs": "given_helpful_prompts",
}


def comparison_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell where people's comparisons are on none of the given prompts, by what they compared by.

    Comparisons are used by `prompt_id`, which is that of the row or made from the conversation. What cannot be loaded
    is told elsewhere.
    """
    # only objects that the catalog builds have kinds, and they are quick to build
    if "human_raters" not in pipeline.inputs() or not hasattr(catalog.get("human_raters"), "KINDS"):
        return
    try:
        raters = catalog.load("human_raters")
        if not isinstance(raters, RecordedComparisons):
            return
        made, read = pipeline.all_outputs(), pipeline.inputs()
        wanted = {
            (_PROMPTS[source.pairs], source.objective)
            for name, source in SOURCES.items()
            if f"{name}_comparisons" in made and _PROMPTS.get(source.pairs) in read
        }
        prompts = {given: set(catalog.load(given)["prompt_id"]) for given, _ in wanted}
    except Exception:  # the check of the inputs tells it
        return
    for given, objective in sorted(wanted):
        compared = raters.compared(objective)
        if not compared & prompts[given]:
            place = getattr(catalog.get(given), "_filepath", given)
            yield (
                f"human_raters: {raters.path} compares {len(compared)} conversations by {objective}, and none of them "
                f"is among the {len(prompts[given])} prompts of {given!r} ({place}); expected one at least, with the "
                f"same conversation, and with the same prompt_id where one is given. Read the prompts from the file of "
                f"the comparisons (docs/guides/own_data.md), or set lineage.helpfulness to labeller or none"
            )
