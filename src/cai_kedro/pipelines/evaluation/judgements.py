"""What the judge says of answers: their behaviour, and a rating on each axis that the prompt counts on."""

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge, verdicts
from cai_kedro.pipelines.evaluation.exam import with_axes


def judge_responses(
    responses: pd.DataFrame, policy_prompts: pd.DataFrame, prompt_axes: pd.DataFrame, judge: Judge
) -> pd.DataFrame:
    """Judge every answer on the axes of its prompt (`responses`, `prompts`, `axes` → `judgements`)."""
    return judged(with_axes(responses, policy_prompts, prompt_axes), judge)


def judged(table: pd.DataFrame, judge: Judge) -> pd.DataFrame:
    """Judge answers that stand next to their `messages`, `axis` and `split` (→ `judgements`), each answer once.

    `rating` is null on an axis that the judge does not rate, `behaviour` where it names none.
    """
    keys = list(zip(table["policy"], table["prompt_id"], table["sample"], strict=True))
    answers = {
        key: (as_messages(messages), str(response))
        for key, messages, response in zip(keys, table["messages"], table["response"], strict=True)
    }
    known = dict(zip(answers, verdicts(list(answers.values()), judge), strict=True))
    said = [known[key] for key in keys]
    ratings = [verdict.rating(axis) for verdict, axis in zip(said, table["axis"], strict=True)]
    return pd.DataFrame(
        {
            **{name: table[name].to_numpy() for name in ("policy", "prompt_id", "sample", "axis", "split")},
            "category": pd.Series([verdict.category for verdict in said], dtype="str"),
            "response": table["response"].to_numpy(),
            "behaviour": pd.Series([verdict.behaviour for verdict in said], dtype="str"),
            "rating": pd.Series(ratings, dtype=float),
        }
    )
