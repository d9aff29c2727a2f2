"""The lessons, and which skill each of those held out measures."""

import pandas as pd

from cai_kedro.core.asks import Critique, Revision
from cai_kedro.englishworld.lessons import MIX, make_lessons
from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.learning.lesson_rows import asks_of
from cai_kedro.pipelines.teach_skills.params import MadeLessons, Measured

#: Lessons that are made for one that measures: a critique under the harm's own name is one of few.
_MADE_FOR_ONE = 50
_HELPS = ("comply", "caveat", "badcomply")
_GENERAL = "general"
_LETTERS = ("comparison", "polarity", "option")
_THOUGHTFUL = ("thoughts", "verdict")
_EXACT = ("copy", "names_kind", "kind_of_act")
_EVEN = 0.5


def build_lessons(params: MadeLessons, seed: int) -> pd.DataFrame:
    """Make the lessons that are learnt from (→ `lessons`)."""
    tables: list[pd.DataFrame] = []
    for number, phase in enumerate(params.phases, start=1):
        start = sum(earlier.count for earlier in params.phases[: number - 1])
        mix = phase.mix or MIX
        tables.append(
            make_lessons(
                phase.count,
                mix,
                seed,
                start=start,
                polarity=phase.polarity,
                at_length=params.at_length,
                phase=number,
            )
        )
    return pd.concat(tables, ignore_index=True)


def build_held_out_lessons(params: Measured, seed: int) -> pd.DataFrame:
    """Make lessons on what no other lesson holds, so many for each skill (→ `lessons`)."""
    tables = []
    for name in (*_LETTERS, *_THOUGHTFUL, *_EXACT, "critique", "revision"):
        made = make_lessons(params.held_out * _MADE_FOR_ONE, {name: 1.0}, seed, held_out=True)
        made = made.assign(lesson_id=f"{name}-" + made["lesson_id"])
        skills = skill_of(made)
        place = skills.fillna("").groupby(skills.fillna("")).cumcount()
        tables.append(made[skills.notna() & (place < params.held_out)])
    return pd.concat(tables, ignore_index=True)


def skill_of(lessons: pd.DataFrame) -> pd.Series:
    """Return the skill that each lesson measures, None where it measures none: (lessons,).

    A comparison on which the principle is silent has no right letter. A critique measures whether the kind of harm is
    read: of a reply that helps, under a principle with one name, its own or another one's.
    """
    plain = lessons.assign(harmful=is_harmful(lessons))
    names = [_skill(row, ask) for row, ask in zip(plain.itertuples(), asks_of(lessons), strict=True)]
    return pd.Series(names, index=lessons.index, dtype=object)


def _skill(row: pd.Series, ask: object) -> str | None:  # noqa: PLR0911 - one line for each kind
    if row.lesson in _EXACT:
        return str(row.lesson)
    if row.lesson in (*_LETTERS, *_THOUGHTFUL):
        return (f"{row.lesson}.{row.polarity}") if row.p_first != _EVEN else None
    if row.lesson not in ("critique", "revision"):
        return None
    if isinstance(ask, Revision) and row.answer == ask.response:
        return "revision.keeps"
    if row.polarity != "less" or row.behaviour not in _HELPS or not row.harmful:
        return None
    if isinstance(ask, Critique):
        return (
            f"critique.{'own' if row.criterion == row.kind else 'other'}" if row.criterion in lexicon().harms else None
        )
    return "revision.objects" if row.criterion in (_GENERAL, row.kind) else None


def is_harmful(lessons: pd.DataFrame) -> pd.Series:
    """Tell which lessons are about a harmful act; some are about none: (lessons,)."""
    return lessons["harmful"].astype("boolean").fillna(False).astype(bool)


def is_about_harm(lessons: pd.DataFrame) -> pd.Series:
    """Tell which principles name harm alone, in general or of one kind: (lessons,)."""
    return lessons["criterion"].isin([_GENERAL, *lexicon().harms])
