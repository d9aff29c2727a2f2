"""Every policy of a lineage has a colour, a marker and a place of its own; the paper's six keep theirs."""

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import (
    PAPER_CAST,
    PAPER_POLICIES,
    Cast,
    cast,
    colour,
    drawn_with,
    in_order,
    marker,
)

MORE = Cast(("pretrained", "mine", "rl_cai", "yours"), reference="pretrained", headline="mine", compared_with="rl_cai")


def looks() -> dict[str, tuple[str, str]]:
    return {policy: (colour(policy), marker(policy)) for policy in cast().policies}


def drawn(**found: object) -> go.Figure:
    """Return a figure whose meta says what the style is while it is drawn."""
    return go.Figure(layout={"meta": {"looks": looks(), "order": in_order(["?", "yours", "rl_cai", "mine"]), **found}})


def test_the_papers_policies_keep_their_looks() -> None:
    assert looks() == PAPER_POLICIES
    assert len({*PAPER_POLICIES.values()}) == len(PAPER_POLICIES)


def test_further_policies_get_looks_of_their_own_and_stand_in_the_order_of_the_lineage() -> None:
    meta = drawn_with(MORE, drawn)(beside=1).layout.meta
    assert meta["order"] == ["mine", "rl_cai", "yours", "?"]
    assert tuple(meta["looks"]["rl_cai"]) == PAPER_POLICIES["rl_cai"]
    assert len({shade for shade, _ in meta["looks"].values()}) == 4
    assert {tuple(meta["looks"][name]) for name in ("mine", "yours")}.isdisjoint(PAPER_POLICIES.values())
    assert meta["beside"] == 1


def test_what_is_drawn_afterwards_has_the_papers_cast_again() -> None:
    drawn_with(MORE, drawn)()
    assert cast() == PAPER_CAST
