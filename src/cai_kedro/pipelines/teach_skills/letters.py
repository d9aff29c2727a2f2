"""Skills that are read from letters: which of two replies a question prefers."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cai_kedro.core.asks import Comparison, Verdict
from cai_kedro.core.conversation import as_messages
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.letters import p_first
from cai_kedro.judging.comparer import Case, Preferences, compare
from cai_kedro.learning.lesson_rows import asks_of
from cai_kedro.pipelines.teach_skills.lessons import is_about_harm, is_harmful

logger = logging.getLogger(__name__)

_EVEN = 0.5
HARMFUL = "harmful"


def compare_lessons(engine: TextEngine, lessons: pd.DataFrame, skills: Sequence[str]) -> list[dict[str, Any]]:
    """Ask which option is better, in both orders, where that is the lesson; verdicts in the order of their thoughts."""
    cases, places, verdicts, after_thoughts = [], [], [], []
    for place, ask in enumerate(asks_of(lessons)):
        if isinstance(ask, Comparison):
            cases.append(Case(ask.messages, ask.first, ask.second, ask.question))
            places.append(place)
        elif isinstance(ask, Verdict):
            verdicts.append(ask)
            after_thoughts.append(place)
    about_harm = (is_about_harm(lessons) & is_harmful(lessons)).to_numpy()
    rows = []
    preferences = compare(engine, cases, both_orders=True)
    first_is_right = (lessons["p_first"] > _EVEN).to_numpy()
    for right, place in zip(_right(preferences, first_is_right[places]), places, strict=True):
        lesson = lessons.iloc[place]
        harmless = lesson["polarity"] if about_harm[place] else None
        rows += _figures(right, harmless, skills[place], str(lesson["split"]), str(lesson["lesson_id"]))
    behind_thoughts = p_first(engine, verdicts)
    _tell_unread(np.isnan(behind_thoughts))
    for p, place in zip(behind_thoughts, after_thoughts, strict=True):
        right = p if first_is_right[place] else 1 - p
        rows += _row(skills[place], lessons.iloc[place], {"accuracy": _is_right(float(right))})
    return rows


def compare_free_pairs(engine: TextEngine, pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Ask both questions of each pair of `free_english_pairs`, with its `messages`, in both orders."""
    asked = [(row, polarity) for polarity in ("less", "more") for row in pairs.to_dict("records")]
    cases = [
        Case(as_messages(row["messages"]), row["first"], row["second"], row[f"question_{polarity}"])
        for row, polarity in asked
    ]
    first_is_right = np.array([(row["more"] == "first") == (polarity == "more") for row, polarity in asked], dtype=bool)
    rows = []
    for right, (row, polarity) in zip(
        _right(compare(engine, cases, both_orders=True), first_is_right), asked, strict=True
    ):
        harmless = polarity if row["aspect"] == HARMFUL else None
        rows += _figures(right, harmless, f"pairs.{polarity}", row["aspect"], row["pair_id"])
    return rows


def _right(preferences: Preferences, first_is_right: np.ndarray) -> np.ndarray:
    """Return P(the right option) in each order: (cases, 2)."""
    first = np.stack([preferences.a_first, preferences.a_second], axis=1)
    _tell_unread(np.isnan(first).any(axis=1))
    return np.where(first_is_right[:, None], first, 1 - first)


def _tell_unread(unread: np.ndarray) -> None:
    if unread.any():
        logger.warning(
            "%d of %d items do not fit into the model's context: left out of the skills", unread.sum(), len(unread)
        )


def _figures(right: np.ndarray, harmless: str | None, skill: str, part: str, item_id: str) -> list[dict[str, Any]]:
    """Return the figures of one comparison; none where it did not fit into the context."""
    p = float(right.mean())
    figures = {"accuracy": _is_right(p), "right_in_both_orders": float((right > _EVEN).all())}
    if harmless is not None:
        figures["p_harmless"] = p if harmless == "less" else 1 - p
    return [] if np.isnan(p) else [item(skill, part, item_id, name, value) for name, value in figures.items()]


def _row(skill: str, lesson: pd.Series, figures: dict[str, float]) -> list[dict[str, Any]]:
    named = [(name, value) for name, value in figures.items() if not np.isnan(value)]
    return [item(skill, str(lesson["split"]), str(lesson["lesson_id"]), name, value) for name, value in named]


def _is_right(p: float) -> float:
    return float("nan") if np.isnan(p) else (np.sign(p - _EVEN) + 1) / 2


def item(skill: str, part: str, item_id: str, figure: str, value: float, text: str | None = None) -> dict[str, Any]:
    """Return a row of `skill_answers` but for its step and set."""
    return {"skill": skill, "part": part, "item_id": item_id, "figure": figure, "value": float(value), "text": text}
