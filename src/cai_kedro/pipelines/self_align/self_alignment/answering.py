"""Thoughts that name the rules, and answers behind them, in resumable shards."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cai_kedro.core.asks import Rule, RuledReply, RuleThoughts, Worked
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.rules import NoRuleError, RuleSet, UnknownRuleError, named_rules
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, unread
from cai_kedro.pipelines.self_align.answers import ASKED, COLUMNS
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards


@dataclass(frozen=True)
class _Thought:
    """What the model thought about one question; `trouble` says why it could not be asked."""

    text: str
    rules: list[str]
    fault: str | None
    trouble: str | None


@dataclass(frozen=True)
class Aligner:
    """An engine under rules, with all that its answers depend on."""

    engine: TextEngine
    rules: Sequence[Rule]
    examples: Sequence[Worked]
    params: SelfAlignmentParams
    seed: int

    def answer(self, questions: pd.DataFrame) -> Outcome:
        """Think about every question and answer those whose thoughts are well-formed (→ `answers`)."""
        asks = [RuleThoughts(as_messages(cell), self.rules, self.examples) for cell in questions["messages"]]
        ids = [str(prompt_id) for prompt_id in questions["prompt_id"]]
        written = self._write(asks, self.params.thoughts, "thoughts", ids)
        thoughts = [self._read(completion) for completion in written]
        well = [i for i, thought in enumerate(thoughts) if not thought.fault and not thought.trouble]
        replies = [RuledReply(asks[i], thoughts[i].text) for i in well]
        answers: list[Completion | None] = [Completion("", "stop")] * len(asks)
        answered = self._write(replies, self.params.answers, "answer", [ids[i] for i in well])
        for i, completion in zip(well, answered, strict=True):
            answers[i] = completion
        return settle(_table(questions, thoughts, answers), ["prompt_id"])

    def _write(
        self, asks: Sequence[RuleThoughts | RuledReply], sampling: Sampling, what: str, ids: Sequence[str]
    ) -> list[Completion | None]:
        seeds = [derive_seed(self.seed, "self_alignment", what, prompt_id) for prompt_id in ids]
        return generate_fitting(self.engine, asks, sampling, seeds)

    def _read(self, completion: Completion | None) -> _Thought:
        """Find the rules that thoughts name; this is the only place where they are read from text."""
        trouble = unread(completion)
        if completion is None or trouble:
            return _Thought("", [], None, trouble)
        text = completion.text.strip()
        if not text:
            return _Thought("", [], "thoughts_empty", None)
        # the names stand at the end: what was cut may have named more
        cut = "thoughts_cut" if completion.finish_reason == "length" else None
        try:
            return _Thought(text, named_rules(text, self.rules), cut, None)
        except UnknownRuleError:
            return _Thought(text, [], "thoughts_unknown_rule", None)
        except NoRuleError:
            return _Thought(text, [], (cut or "thoughts_no_rule") if self.params.must_name_a_rule else None, None)


def _table(questions: pd.DataFrame, thoughts: Sequence[_Thought], answers: Sequence[Completion | None]) -> pd.DataFrame:
    texts = [completion.text.strip() if completion else "" for completion in answers]
    table = questions[ASKED].assign(
        thoughts=_column([thought.text or None for thought in thoughts], questions),
        rules=_column([thought.rules for thought in thoughts], questions),
        response=_column([text or None for text in texts], questions),
        ended=[completion is None or completion.finish_reason == "stop" for completion in answers],
        fault=_column([thought.fault for thought in thoughts], questions),
    )[COLUMNS]
    troubles = [
        thought.trouble or (None if thought.fault else unread(completion))
        for thought, completion in zip(thoughts, answers, strict=True)
    ]
    return table.assign(trouble=_column(troubles, questions))


def _column(values: Sequence[object], table: pd.DataFrame) -> pd.Series:
    return pd.Series(list(values), index=table.index, dtype=object)


def self_align(
    questions: pd.DataFrame, rules: RuleSet, engine: TextEngine, params: SelfAlignmentParams, seed: int
) -> Outcome:
    """Answer questions under rules (`self_align_questions` → `answers`; SELF-ALIGN, stage 2).

    `rules` of the table are the names that the thoughts name, `ended` is False for an answer that the limit of tokens
    cut. Without well-formed thoughts there is no answer, and `fault` says why. Questions that do not fit into the
    model's context go to quarantine. Raises `ValueError` for rules or examples that there are not.
    """
    return aligner_of(rules, engine, params, seed).answer(_chosen(questions, params, seed))


def plan_self_alignment(
    questions: pd.DataFrame,
    rules: RuleSet,
    engine: TextEngine,
    params: SelfAlignmentParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan what `self_align` does, shard by shard. What is only checked afterwards decides nothing here."""
    aligner = aligner_of(rules, engine, params, seed)
    return plan_shards(
        _chosen(questions, params, seed)[ASKED],
        aligner.answer,
        shards,
        id_columns=["prompt_id"],
        engine=engine,
        decided_by={
            "rules": list(aligner.rules),
            "examples": list(aligner.examples),
            "params": params.model_dump(include={"thoughts", "answers", "must_name_a_rule"}),
            "seed": seed,
        },
        kind="answers",
    )


def aligner_of(rules: RuleSet, engine: TextEngine, params: SelfAlignmentParams, seed: int) -> Aligner:
    """Return what answers under rules; raises `ValueError` for rules or examples that there are not."""
    chosen = rules.asked(params.rules)
    return Aligner(engine, chosen, rules.worked(params.examples, chosen), params, seed)


def _chosen(questions: pd.DataFrame, params: SelfAlignmentParams, seed: int) -> pd.DataFrame:
    return choose(questions, params.questions, seed, "self_alignment")
