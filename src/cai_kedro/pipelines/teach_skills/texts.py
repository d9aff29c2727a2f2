"""Skills that are read from what a model writes: copying, naming, critiques, revisions, replies."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from cai_kedro.core.asks import Ask, Critique, Reply, Revision, Thoughts
from cai_kedro.core.behaviours import COMPLIES, EVADES, REFUSES_WITH_REASON, REFUSES_WITHOUT
from cai_kedro.core.constitution import Constitution, CritiquePrinciple, draw_principle
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.core.text import words_of
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.learning.lesson_rows import asks_of
from cai_kedro.metrics.behaviour_rules import behaviour_of
from cai_kedro.metrics.critique_verdict import finds_fault
from cai_kedro.metrics.named_act import names_act
from cai_kedro.pipelines.teach_skills.letters import HARMFUL, item

logger = logging.getLogger(__name__)

_REFUSES = (REFUSES_WITH_REASON, REFUSES_WITHOUT)
_LETTER = re.compile(r"\(([AB])\)\W*$")

Write = Callable[[Sequence[Ask], Sequence[str]], list[str]]


def writer(engine: TextEngine, sampling: Sampling, seed: int) -> Write:
    """Return what writes an answer to each ask, by its id; the empty text where it does not fit into the context."""

    def write(asks: Sequence[Ask], ids: Sequence[str]) -> list[str]:
        seeds = [derive_seed(seed, "skills", name) for name in ids]
        said = generate_fitting(engine, asks, sampling, seeds)
        if None in said:
            logger.warning(
                "%d of %d asks do not fit into the model's context: each counts as an empty answer",
                said.count(None),
                len(said),
            )
        return [completion.text.strip() if completion else "" for completion in said]

    return write


def write_lessons(write: Write, lessons: pd.DataFrame, skills: Sequence[str]) -> list[dict[str, Any]]:
    """Let a model write what the lessons ask for, skill by skill: asks of one call stop alike."""
    rows = []
    asks = asks_of(lessons)
    kinds: dict[type, list[int]] = {}
    for place, ask in enumerate(asks):
        if isinstance(ask, Reply | Critique | Revision | Thoughts):
            kinds.setdefault(type(ask), []).append(place)
    for places in kinds.values():
        texts = write([asks[place] for place in places], [str(lessons["lesson_id"].iloc[place]) for place in places])
        for place, text in zip(places, texts, strict=True):
            lesson = lessons.iloc[place]
            for name, value in _of_lesson(asks[place], text, lesson, skills[place]).items():
                rows.append(item(skills[place], str(lesson["split"]), str(lesson["lesson_id"]), name, value, text))
    return rows


def _of_lesson(ask: Ask, text: str, lesson: pd.Series, skill: str) -> dict[str, float]:
    match ask:
        case Critique():
            return _of_critique(ask, text)
        case Revision() if skill == "revision.keeps":
            return {"keeps": float(words_of(text) == words_of(ask.response))}
        case Revision():
            return {"objects": float(behaviour_of(ask.messages, text) in _REFUSES)}
        case Thoughts():
            wanted, found = _LETTER.search(lesson["answer"]), _LETTER.search(text)
            return {"accuracy": float(bool(wanted and found and wanted[1] == found[1]))}
    return {"accuracy": float(words_of(text) == words_of(lesson["answer"]))}


def _of_critique(ask: Critique, text: str) -> dict[str, float]:
    return {
        "finds": float(finds_fault(text)),
        "names_act": float(names_act(ask.messages, ask.response, ask.critique_request, text)),
    }


def criticise_and_revise(
    write: Write, pairs: pd.DataFrame, constitution: Constitution, seed: int
) -> list[dict[str, Any]]:
    """Criticise the replies that obey a harmful request, under a principle that names its harm and under another one.

    Then revise them in the light of the first critique. `pairs` are those of `free_english_pairs`, with `messages`,
    `harm` and `harmful`. A constitution whose principles name no single harms gives nothing to measure.
    """
    own, other = (_cases(pairs, constitution, seed, whose) for whose in ("own", "other"))
    rows = []
    for whose, cases in (("own", own), ("other", other)):
        texts = write([case[1] for case in cases], [f"{case[0]}.{whose}" for case in cases])
        for (pair_id, ask, _, harm), text in zip(cases, texts, strict=True):
            for name, value in _of_critique(ask, text).items():
                rows.append(item(f"critique.{whose}", harm, pair_id, name, value, text))
        if whose == "own":
            rows += _revise(write, cases, texts)
    return rows


_Case = tuple[str, Critique, CritiquePrinciple, str]


def _cases(pairs: pd.DataFrame, constitution: Constitution, seed: int, whose: str) -> list[_Case]:
    naming = [each for each in constitution.critique_principles if each.harms]
    everything = {harm for each in naming for harm in each.harms}
    naming = [each for each in naming if set(each.harms) != everything]
    cases = []
    for row in pairs[pairs["harmful"] & (pairs["aspect"] == HARMFUL)].to_dict("records"):
        fitting = [each for each in naming if (row["harm"] in each.harms) == (whose == "own")]
        if fitting and row[f"{row['more']}_behaviour"] == COMPLIES:
            principle = draw_principle(fitting, rng_for(seed, "free critique", whose, row["pair_id"]))
            ask = Critique(as_messages(row["messages"]), row[row["more"]], principle.critique_request)
            cases.append((row["pair_id"], ask, principle, row["harm"]))
    return cases


def _revise(write: Write, cases: Sequence[_Case], critiques: Sequence[str]) -> Iterable[dict[str, Any]]:
    asks = [
        Revision(ask.messages, ask.response, ask.critique_request, critique, principle.revision_request)
        for (_, ask, principle, _), critique in zip(cases, critiques, strict=True)
    ]
    texts = write(asks, [f"{pair_id}.revision" for pair_id, *_ in cases])
    for (pair_id, ask, _, harm), text in zip(cases, texts, strict=True):
        yield item("revision", harm, pair_id, "objects", behaviour_of(ask.messages, text) in _REFUSES, text)


def answer_requests(write: Write, requests: pd.DataFrame) -> list[dict[str, Any]]:
    """Answer the requests of `free_english_requests`: how often it obeys, objects and evades."""
    conversations: list[Conversation] = [as_messages(cell) for cell in requests["messages"]]
    texts = write([Reply(messages) for messages in conversations], list(requests["prompt_id"]))
    rows = []
    for row, messages, text in zip(requests.to_dict("records"), conversations, texts, strict=True):
        behaviour = behaviour_of(messages, text)
        shown: Mapping[str, bool] = {
            "complies": behaviour == COMPLIES,
            "objects": behaviour in _REFUSES,
            "evades": behaviour == EVADES,
        }
        skill, part = (
            f"reply.{row['split'].removeprefix('free_')}",
            row["harm"] if isinstance(row["harm"], str) else row["topic"],
        )
        rows += [item(skill, part, row["prompt_id"], name, value, text) for name, value in shown.items()]
    return rows
