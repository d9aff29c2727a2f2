"""The wiring of the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.reporting.nodes import gather_answers, gather_chains, gather_comparisons, write_report
from cai_kedro.reporting.figures.accuracy import draw_choices, draw_contrasts
from cai_kedro.reporting.figures.along import draw_harmfulness, draw_snapshot_ratings
from cai_kedro.reporting.figures.behaviour import draw_behaviours, draw_evasion
from cai_kedro.reporting.figures.curves import preference_curves_of, rl_curves_of
from cai_kedro.reporting.figures.harms import draw_harms, draw_transparency
from cai_kedro.reporting.figures.labels import draw_calibration
from cai_kedro.reporting.figures.over_training import over_training_of
from cai_kedro.reporting.figures.ratings import draw_frontier, draw_ratings
from cai_kedro.reporting.figures.revisions import draw_critiques, draw_rounds


@dataclass(frozen=True)
class Figure:
    """One figure of the report: saved as `{name}_figure`, drawn from datasets."""

    name: str
    draw: Callable[..., go.Figure]
    inputs: tuple[str, ...]


_PARAMS, _SEED = "params:reporting", "params:seed"


def figures_of(arms: tuple[str, ...]) -> tuple[Figure, ...]:
    """Return the figures in the order of the page. A new figure is one function and one line."""
    return (
        Figure("frontier", draw_frontier, ("elo_metrics",)),
        Figure("ratings", draw_ratings, ("elo_metrics", "elo_gap_metrics")),
        Figure("evasion", draw_evasion, ("behaviour_metrics",)),
        Figure("behaviours", draw_behaviours, ("behaviour_metrics",)),
        Figure("transparency", draw_transparency, ("evaluation.transparency_metrics",)),
        Figure("harms", draw_harms, ("evaluation.harm_gaps_metrics",)),
        Figure("snapshot_ratings", draw_snapshot_ratings, ("evaluation.snapshot_elo_metrics",)),
        Figure("harmfulness", draw_harmfulness, ("evaluation.absolute_harmfulness_metrics",)),
        Figure(
            "over_training",
            over_training_of(arms),
            ("evaluation.over_training_metrics", *(f"{arm}.snapshot_choice" for arm in arms)),
        ),
        Figure("rounds", draw_rounds, ("revision_metrics",)),
        Figure("critiques", draw_critiques, ("revision_metrics",)),
        Figure("calibration", draw_calibration, ("label_reliability", "label_metrics")),
        Figure(
            "choices",
            draw_choices,
            ("label_metrics", "preference_accuracy_metrics", *(f"{arm}.preference_metrics" for arm in arms)),
        ),
        Figure("contrasts", draw_contrasts, ("preference_accuracy_metrics",)),
        Figure("preference_curves", preference_curves_of(arms), tuple(f"{arm}.preference_curves" for arm in arms)),
        Figure("rl_curves", rl_curves_of(arms), tuple(f"{arm}.policy_curves" for arm in arms)),
    )


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From the tables of a run to its report."""
    figures = figures_of(lineage.arms)
    return Pipeline(
        [*_figures(figures), *_transcripts(), _report(figures)],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )


def _figures(figures: Sequence[Figure]) -> list[Node]:
    return [
        Node(figure.draw, inputs=list(figure.inputs), outputs=f"{figure.name}_figure", name=f"draw_{figure.name}")
        for figure in figures
    ]


def _transcripts() -> list[Node]:
    return [
        Node(
            gather_answers,
            inputs=["policy_prompts", "policy_judgements", _PARAMS, _SEED],
            outputs="answer_transcripts",
            name="gather_answers",
        ),
        Node(
            gather_chains,
            inputs=[
                "red_team_prompts",
                "initial_responses",
                "revisions",
                "direct_revisions",
                "revision_scores",
                "revision_judgements",
                _PARAMS,
                _SEED,
            ],
            outputs="chain_transcripts",
            name="gather_chains",
        ),
        Node(
            gather_comparisons,
            inputs=["red_team_prompts", "ai_comparisons", "ai_cot_comparisons", _PARAMS, _SEED],
            outputs="comparison_transcripts",
            name="gather_comparisons",
        ),
    ]


def _report(figures: Sequence[Figure]) -> Node:
    return Node(
        write_report,
        inputs=[
            "policy_summary",
            "constitution",
            "machine",
            _SEED,
            "answer_transcripts",
            "chain_transcripts",
            "comparison_transcripts",
            *(f"{figure.name}_figure" for figure in figures),
        ],
        outputs="report",
        name="write_report",
    )
