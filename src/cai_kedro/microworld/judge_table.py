"""The table of ratings of this world: read by its judge and simulated raters, by nothing that makes texts or trains."""

from functools import cache
from importlib.resources import files

from cai_kedro.core.rating_table import RatingTable, read_rating_table


@cache
def judge_table() -> RatingTable:
    """Read the package's table."""
    return read_rating_table(files(__package__).joinpath("judge_table.yml"))
