"""What the model can do: before, along the way and at the end, on held-out lessons and on free English."""

import logging
from collections.abc import Mapping

import pandas as pd

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.base import TextEngine
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.skills import last_figures, skill_figures
from cai_kedro.pipelines.teach_skills.lessons import skill_of
from cai_kedro.pipelines.teach_skills.letters import compare_free_pairs, compare_lessons
from cai_kedro.pipelines.teach_skills.params import Measured
from cai_kedro.pipelines.teach_skills.texts import answer_requests, criticise_and_revise, write_lessons, writer
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


def ask_skills(
    untaught: TextEngine,
    snapshots: Mapping[int, TextEngine],
    lessons: pd.DataFrame,
    requests: pd.DataFrame,
    pairs: pd.DataFrame,
    constitution: Constitution,
    params: Measured,
    seed: int,
) -> pd.DataFrame:
    """Ask the model at every step (`lessons`, `free_english_requests`, `free_english_pairs` → `skill_answers`).

    Step 0 is the untaught model. At the first and the last step all items are asked, between them fewer.
    """
    pairs = with_messages(pairs, requests)
    tables = []
    for step in (0, *snapshots):
        engine = snapshots[step] if step else untaught
        whole = step in (0, max(snapshots))
        held_out = _some_lessons(lessons, params.held_out if whole else params.held_out_along, seed)
        of_free = params.free if whole else params.free_along
        some_requests, some_pairs = (choose(table, of_free, seed, "skills") for table in (requests, pairs))
        rows = {
            "held_out": ask_lessons(engine, held_out, params, seed),
            "free": ask_free_english(engine, some_requests, some_pairs, constitution, params, seed),
        }
        tables += [pd.DataFrame(of).assign(step=step, set=name) for name, of in rows.items()]
        logger.info("skills at step %d: %s", step, _told(tables[-2:]))
    return check_table("skill_answers", pd.concat(tables, ignore_index=True))


def _some_lessons(lessons: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    parts = [
        choose(of, limit, seed, "skills", by="lesson_id") for _, of in lessons.groupby(skill_of(lessons), sort=True)
    ]
    return pd.concat(parts, ignore_index=True)


def with_messages(pairs: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """Put the request beside each pair of replies: its `messages`, `harm` and `harmful`."""
    return pairs.merge(requests[["prompt_id", "messages", "harm", "harmful"]], on="prompt_id", validate="one_to_one")


def ask_lessons(engine: TextEngine, lessons: pd.DataFrame, params: Measured, seed: int) -> list[dict[str, object]]:
    """Ask held-out lessons, each for the skill that it measures."""
    skills = list(skill_of(lessons))
    write = writer(engine, params.sampling, seed)
    return [*compare_lessons(engine, lessons, skills), *write_lessons(write, lessons, skills)]


def ask_free_english(
    engine: TextEngine,
    requests: pd.DataFrame,
    pairs: pd.DataFrame,
    constitution: Constitution,
    params: Measured,
    seed: int,
) -> list[dict[str, object]]:
    """Ask all items of free English, in its own words (`free_english_requests`, pairs `with_messages`)."""
    write = writer(engine, params.sampling, seed)
    return [
        *compare_free_pairs(engine, pairs),
        *criticise_and_revise(write, pairs, constitution, seed),
        *answer_requests(write, requests),
    ]


def _told(tables: list[pd.DataFrame]) -> str:
    letters = pd.concat(tables).query("figure == 'accuracy' and skill.str.match('comparison|pairs')")
    means = letters.groupby(["set", "skill"])["value"].mean()
    return ", ".join(f"{skill} {value:.2f}" for (_, skill), value in means.items())


def measure_skills(answers: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Return all figures with their intervals, and those of the last step as metrics (`skill_answers` → …)."""
    figures = skill_figures(answers)
    return figures, last_figures(figures)
