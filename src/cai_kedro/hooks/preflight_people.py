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

    What cannot be loaded is told elsewhere.
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
        prompts = {given: catalog.load(given) for given, _ in wanted}
    except Exception:  # the check of the inputs tells it
        return
    for given, objective in sorted(wanted):
        compared, here = raters.compared(objective, prompts[given])
        if not here:
            place = getattr(catalog.get(given), "_filepath", given)
            yield (
                f"human_raters: {raters.path} compares {compared} conversations by {objective}, and none of them is "
                f"among the {len(prompts[given])} prompts of {given!r} ({place}); expected one at least, with the same "
                f"conversation. Read the prompts from the file of the comparisons (docs/guides/own_data.md), or set "
                f"lineage.helpfulness to labeller or none"
            )
