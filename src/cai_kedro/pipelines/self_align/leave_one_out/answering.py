"""Answers without one of the rules, in resumable shards: only where the thoughts of the run name that rule."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.gates import GateClosed
from cai_kedro.core.rules import RuleSet
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, quarantine_table
from cai_kedro.engines.base import TextEngine
from cai_kedro.pipelines.self_align.answers import ASKED, COLUMNS, NO_THOUGHTS
from cai_kedro.pipelines.self_align.self_alignment.answering import aligner_of
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards

ID_COLUMNS = ["left_out", "prompt_id"]


class LeaveOneOutParams(BaseModel):
    """How much of a finished run is looked at again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: int | None = Field(ge=1, description="with well-formed thoughts, the same for every rule; null: all")


@dataclass(frozen=True)
class Variant:
    """The prompt of the run without one rule."""

    left_out: str
    rules: RuleSet
    params: SelfAlignmentParams


def variants(rules: RuleSet, params: SelfAlignmentParams) -> Iterator[Variant]:
    """Yield the prompt without each of its rules; raises `ValueError` for a prompt of fewer than two.

    The rules behind the one that is left out get other numbers, in worked examples, too; an example that names it goes.
    """
    names = [rule.name for rule in rules.asked(params.rules)]
    if len(names) < 2:  # noqa: PLR2004 - one has to stay
        raise ValueError(
            f"self_align.self_alignment.rules has one rule ({names[0]}), and without it there is none; name more"
        )
    for name in names:
        fewer = rules.without(name)
        kept = None if params.rules is None else tuple(other for other in names if other != name)
        examples = min(params.examples, len(fewer.examples))
        yield Variant(name, fewer, params.model_copy(update={"rules": kept, "examples": examples}))


def looked_at(answers: pd.DataFrame, params: LeaveOneOutParams, seed: int) -> pd.DataFrame:
    """Return the rows of the run that are looked at, those with well-formed thoughts (`answers` → `answers`).

    Raises `GateClosed` where there are none.
    """
    thought = answers[~answers["fault"].isin(NO_THOUGHTS)]
    if thought.empty:
        raise GateClosed(
            f"none of the {len(answers)} thoughts of the run are well-formed, so no rule has a part in any; see "
            f"self_align.answer_counts"
        )
    return choose(thought, params.questions, seed, "leave_one_out")


def plan_without_rules(
    answers: pd.DataFrame,
    rules: RuleSet,
    engine: TextEngine,
    params: SelfAlignmentParams,
    left_out: LeaveOneOutParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan answers without each rule, on the questions whose thoughts name it (`answers` → `left_out_answers`).

    All else is as in stage 2, the draws, too.
    """
    asked = looked_at(answers, left_out, seed)
    every = list(variants(rules, params))
    inputs = pd.concat(
        [
            asked.loc[[variant.left_out in named for named in asked["rules"]], ASKED].assign(left_out=variant.left_out)
            for variant in every
        ],
        ignore_index=True,
    )
    by_name = {variant.left_out: variant for variant in every}

    def make(part: pd.DataFrame) -> Outcome:
        made = [
            _without(by_name[str(name)], rows, engine, seed) for (name,), rows in part.groupby(["left_out"], sort=False)
        ]
        empty = pd.DataFrame(columns=["left_out", *COLUMNS], dtype=object)
        rows = pd.concat([one.rows for one in made], ignore_index=True) if made else empty
        quarantine = [one.quarantine for one in made]
        return Outcome(rows, pd.concat(quarantine, ignore_index=True) if made else quarantine_table({}))

    return plan_shards(
        inputs[["left_out", *ASKED]],
        make,
        shards,
        id_columns=ID_COLUMNS,
        engine=engine,
        decided_by={
            "rules": list(rules.asked(params.rules)),
            "examples": list(rules.worked(params.examples, rules.asked(params.rules))),
            "params": params.model_dump(include={"thoughts", "answers", "must_name_a_rule"}),
            "seed": seed,
        },
        kind="left_out_answers",
    )


def _without(variant: Variant, questions: pd.DataFrame, engine: TextEngine, seed: int) -> Outcome:
    made = aligner_of(variant.rules, engine, variant.params, seed).answer(questions.reset_index(drop=True))
    rows = made.rows.copy()
    rows.insert(0, "left_out", variant.left_out)
    return Outcome(rows, made.quarantine.assign(id=variant.left_out + "." + made.quarantine["id"].astype(str)))
