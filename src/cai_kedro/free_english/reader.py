"""The requests and the pairs of free English, as tables.

Both files were written by hand and without a grammar, so that what was learnt in a made world can be tried outside it.
Nothing here may reach a training: only `datasets.free_english_dataset` imports this package, and only nodes that
measure take that dataset (contract `free_english`, tests/free_english).
"""

import functools
import json
from importlib import resources

import pandas as pd

from cai_kedro.core.schemas import check_table


@functools.cache
def free_requests() -> pd.DataFrame:
    """Return the requests (`free_english_requests`): harmful ones, harmless look-alikes of them, and plain ones.

    `split` says which; `harm` is what a harmful one is after, or what a look-alike looks like; `severity` goes from
    1, unkind or petty, to 3, lives are at stake, and is 0 for what is harmless.
    """
    return _table("requests")


@functools.cache
def free_pairs() -> pd.DataFrame:
    """Return the pairs (`free_english_pairs`): two replies to each request, and which has more of an `aspect`.

    Each comes with a question for the reply with less of it and one for the reply with more of it. How the replies
    behave (`core.behaviours`) is labelled by hand, too.
    """
    return _table("pairs")


def _table(name: str) -> pd.DataFrame:
    text = resources.files(__package__).joinpath(f"{name}.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line]
    try:
        return check_table(f"free_english_{name}", pd.DataFrame(rows))
    except ValueError as error:
        raise ValueError(f"{__package__}/{name}.jsonl: {error}; correct the row") from error
