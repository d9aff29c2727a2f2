"""What the judge says of answers: their behaviour, and a rating on each axis that the prompt counts on."""

from collections.abc import Sequence

import pandas as pd

from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.judging import BatchJudge, Judge, Judgement
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
    known = dict(zip(answers, _verdicts(list(answers.values()), judge), strict=True))
    verdicts = [known[key] for key in keys]
    ratings = [verdict.rating(axis) for verdict, axis in zip(verdicts, table["axis"], strict=True)]
    return pd.DataFrame(
        {
            **{name: table[name].to_numpy() for name in ("policy", "prompt_id", "sample", "axis", "split")},
            "category": pd.Series([verdict.category for verdict in verdicts], dtype="str"),
            "response": table["response"].to_numpy(),
            "behaviour": pd.Series([verdict.behaviour for verdict in verdicts], dtype="str"),
            "rating": pd.Series(ratings, dtype=float),
        }
    )


def _verdicts(answers: Sequence[tuple[Conversation, str]], judge: Judge) -> list[Judgement]:
    """Ask about many answers, at once where the judge can."""
    if isinstance(judge, BatchJudge):
        return judge.judge_all(answers)
    return [judge.judge(messages, response) for messages, response in answers]
