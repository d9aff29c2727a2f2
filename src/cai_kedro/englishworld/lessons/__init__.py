"""Lessons of the English world: a row each, with what is asked, what is to be written, and the truth behind it."""

from cai_kedro.englishworld.lessons.mix import COMPARED, LESSON_COLUMNS, MIX, make_lessons

__all__ = ["COMPARED", "LESSON_COLUMNS", "MIX", "make_lessons"]
