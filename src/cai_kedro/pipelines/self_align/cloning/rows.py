"""What stage 4 learns from."""

from typing import Any

import pandas as pd

from cai_kedro.core.conversation import Message, as_messages, system
from cai_kedro.core.seeding import rng_for
from cai_kedro.pipelines.self_align.answers import kept, some_left
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.pipelines.self_align.training import shuffled


def build_cloning_rows(answers: pd.DataFrame, params: CloningParams, seed: int) -> pd.DataFrame:
    """Put verbose answers behind the short or the standard prompt (`answers` → `rows`; SELF-ALIGN, stage 4).

    The short prompt is the question alone, the standard one stands in front of it as a system turn; which of the two,
    a coin of the row decides. The verbose prompt is gone: what the teacher did under it, the student does without
    (context distillation). Raises `GateClosed` where no answer is left.
    """
    well = some_left(kept(answers), answers, "cloning")
    messages = [
        _prompted(cell, params.standard_prompt, rng_for(seed, "cloning prompt", str(prompt_id)).random() < 0.5)  # noqa: PLR2004
        for cell, prompt_id in zip(well["messages"], well["prompt_id"], strict=True)
    ]
    rows = well.assign(
        messages=pd.Series(messages, index=well.index, dtype=object),
        row_id=well["prompt_id"].astype(str) + ".cloning",
        source="verbose",
        step=0,
    )
    return shuffled(rows, params.rows, seed, "cloning")


def _prompted(cell: Any, standard: str, is_standard: bool) -> list[Message]:
    messages = as_messages(cell)
    if not is_standard:
        return messages
    if messages[0]["role"] == "system":
        return [system(f"{standard}\n\n{messages[0]['content']}"), *messages[1:]]
    return [system(standard), *messages]
