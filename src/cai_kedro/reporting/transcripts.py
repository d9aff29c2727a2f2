"""Transcripts for the report: tables → plain records, one a prompt, a chain or a comparison.

Every record has `id` (what the tables call it), `split` and `turns` (`[[role, text], …]`). Texts are as in the tables.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cai_kedro.core.conversation import as_messages

Record = dict[str, Any]

#: What is read of `judgements`.
JUDGED = ("policy", "prompt_id", "sample", "axis", "category", "behaviour", "rating")

#: Digits that are kept of probabilities and scores.
DIGITS = 4


def answer_records(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    prompt_axes: pd.DataFrame,
    judgements: pd.DataFrame | None = None,
) -> list[Record]:
    """Put the answers of all policies beside one another (`prompts`, `responses`, `axes` → a record a prompt).

    `axes` are those that the prompt counts on. `answers`: policy, text, and of `judgements`, if there are some, the
    judge's `behaviour` and `ratings` (axis → 0 to 4).
    """
    said, category = _judged({} if judgements is None else judgements.to_dict("list"))
    answers: dict[str, list[Record]] = {}
    for row in responses.itertuples():
        behaviour, ratings = said.get((row.policy, row.prompt_id, row.sample), (None, {}))
        answers.setdefault(str(row.prompt_id), []).append(
            {"policy": row.policy, "text": row.response, "behaviour": behaviour, "ratings": ratings}
        )
    axes = prompt_axes.groupby("prompt_id", sort=False)["axis"].agg(list).to_dict()
    return [
        {
            **_prompt(row),
            "axes": axes[row.prompt_id],
            "category": category.get(row.prompt_id),
            "answers": answers[row.prompt_id],
        }
        for row in prompts.itertuples()
        if row.prompt_id in answers
    ]


def _judged(columns: Mapping[Any, list]) -> tuple[dict[tuple, tuple[Any, dict[str, float | None]]], dict[str, Any]]:
    """Return answer → behaviour and ratings by axis, and prompt → category, of the columns of `judgements`."""
    said: dict[tuple, tuple[Any, dict[str, float | None]]] = {}
    category: dict[str, Any] = {}
    rows = zip(*(columns.get(name, []) for name in JUDGED), strict=True)
    for policy, prompt_id, sample, axis, harm, behaviour, rating in rows:
        ratings = said.setdefault((policy, prompt_id, sample), (_or_none(behaviour), {}))[1]
        if not pd.isna(rating):
            ratings[axis] = _rounded(rating)
        category[prompt_id] = _or_none(harm)
    return said, category


def chain_records(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    revisions: pd.DataFrame,
    direct_revisions: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    judgements: pd.DataFrame | None = None,
) -> list[Record]:
    """Follow each response through its rounds (→ a record a response).

    `steps` starts with the response itself; later ones have `principle` and `critique`, null in `direct`, whose first
    step is the same response. `score` and `behaviour` are null where a chain was not looked at.
    """
    prompt_of = {row.prompt_id: _prompt(row) for row in prompts.itertuples()}
    score_of = {(row.arm, row.prompt_id, row.sample, row.step): _rounded(row.score) for row in _rows(scores)}
    behaviour_of = {
        (*_arm_and_step(str(row.policy)), row.prompt_id, row.sample): _or_none(row.behaviour)
        for row in _rows(judgements)
    }

    def step(arm: str, key: tuple[str, int], number: int, text: str, **more: Any) -> Record:
        return {
            "text": text,
            "score": score_of.get((arm, *key, number)),
            "behaviour": behaviour_of.get((arm, number, *key)),
            **more,
        }

    rounds = {"critique": _by_key(revisions), "direct": _by_key(direct_revisions)}
    records = []
    for row in responses.itertuples():
        key = (str(row.prompt_id), int(row.sample))
        arms = {
            arm: [
                step(arm, key, 0, row.response),
                *(
                    step(
                        arm,
                        key,
                        int(each.step),
                        each.revision,
                        principle=each.principle_id,
                        critique=_or_none(each.critique),
                    )
                    for each in table.get(key, [])
                ),
            ]
            for arm, table in rounds.items()
        }
        records.append(
            {
                **prompt_of[row.prompt_id],
                "sample": key[1],
                "policy": row.policy,
                "steps": arms["critique"],
                "direct": arms["direct"],
            }
        )
    return records


def comparison_records(prompts: pd.DataFrame, *labelled: pd.DataFrame) -> list[Record]:
    """Put the labels of one pair under one another (`comparisons` each → a record a pair).

    `labels`: source, principle, `p` (the label), `first` and `second` (both orders, all as P(A is better)), `thoughts`.
    """
    split_of = dict(zip(prompts["prompt_id"], prompts["split"], strict=True))
    records: dict[str, Record] = {}
    for row in pd.concat(labelled, ignore_index=True).itertuples():
        record = records.setdefault(
            str(row.pair_id),
            {
                "id": row.pair_id,
                "split": split_of.get(row.prompt_id, ""),
                "turns": _turns(row.messages),
                "kind": row.kind,
                "a": row.response_a,
                "b": row.response_b,
                "labels": [],
            },
        )
        record["labels"].append(
            {
                "source": row.source,
                "principle": _or_none(row.principle_id),
                "p": _rounded(row.p_a_better),
                "first": _rounded(row.p_a_first),
                "second": _rounded(row.p_a_second),
                "thoughts": _or_none(row.thoughts),
            }
        )
    return list(records.values())


def _prompt(row: Any) -> Record:
    return {"id": row.prompt_id, "split": row.split, "turns": _turns(row.messages)}


def _turns(cell: Any) -> list[list[str]]:
    return [[turn["role"], turn["content"]] for turn in as_messages(cell)]


def _by_key(revisions: pd.DataFrame) -> Mapping[tuple[str, int], list[Any]]:
    rows: dict[tuple[str, int], list[Any]] = {}
    for row in revisions.sort_values("step").itertuples():
        rows.setdefault((str(row.prompt_id), int(str(row.sample))), []).append(row)
    return rows


def _arm_and_step(policy: str) -> tuple[str, int]:
    """Read `critique_1` as arm and step; that is how revisions are named before the judge."""
    arm, _, step = policy.rpartition("_")
    return arm, int(step)


def _rows(table: pd.DataFrame | None) -> Iterable[Any]:
    return () if table is None else table.itertuples(index=False)


def _rounded(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), DIGITS)


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value
