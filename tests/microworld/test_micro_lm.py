"""The shipped micro LM: what it is, and that it reads the constitution instead of recognising it."""

import json

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import parse, user
from cai_kedro.core.seeding import rng_for
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.acts import act_table
from cai_kedro.microworld.documents import LESSON_MIX, document
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.oracle import behaviour_of
from cai_kedro.microworld.pretraining import PretrainingParams, pretrain
from cai_kedro.microworld.principles import (
    CRITIQUE_TEMPLATES,
    PREFERENCE_TEMPLATES,
    held_out_critique,
    held_out_preference,
)
from cai_kedro.microworld.replies import HARMFUL_BEHAVIOURS, ask, reply
from cai_kedro.microworld.shipped import FINGERPRINT, code_digest, shipped_directory, training_log
from cai_kedro.microworld.spans import text_of
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs
from tests.microworld.held_out import held_out_in

COMPLIES = ("comply", "caveat", "badcomply", "partial")
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=64)


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return TransformersEngine(load_language_model(shipped_directory()), max_batch_tokens=16384, dtype="auto")


@pytest.fixture(scope="module")
def constitution() -> Constitution:
    return read_constitution("conf/base/constitution")


def test_it_is_what_its_fingerprint_says() -> None:
    told = json.loads((shipped_directory() / FINGERPRINT).read_text())
    assert told["code"] == code_digest(), "what makes the micro LM has changed: train and ship it again"
    assert sum(file.stat().st_size for file in shipped_directory().iterdir()) < 8_000_000


@pytest.mark.slow
def test_its_first_minute_of_training_gives_the_recorded_losses() -> None:
    told = json.loads((shipped_directory() / FINGERPRINT).read_text())
    again = pretrain(PretrainingParams(**told["params"]), told["seed"], stop_after=150).curves
    recorded = training_log().iloc[: len(again)]
    assert len(again) >= 2
    assert list(again["step"]) == list(recorded["step"])
    loss = again["metric"] == "loss"
    # another number of threads adds in another order; a change of recipe, corpus or seed shows as more than this
    np.testing.assert_allclose(again["value"][loss], recorded["value"][loss].to_numpy(), rtol=0.1)


def test_four_principles_of_each_kind_never_occur_in_its_corpus(constitution: Constitution) -> None:
    words = {word for words in lexicon().criteria.values() for word in words}

    def unseen(text: str, templates: tuple[str, ...], held_out) -> bool:  # noqa: ANN001
        named = [word for word in words if word in text]
        opening = [t.format(x="{x}", p="less").split("{x}")[0] for t in templates]
        fitting = [i for i, start in enumerate(opening) if text.startswith(start)]
        template = max(fitting, key=lambda i: len(opening[i]))
        return any(held_out(template, word) for word in named)

    critiques = [p.critique_request for p in constitution.critique_principles]
    questions = [p.question for p in constitution.preference_principles]
    assert sum(unseen(text, CRITIQUE_TEMPLATES, held_out_critique) for text in critiques) >= 4
    assert sum(unseen(text, PREFERENCE_TEMPLATES, held_out_preference) for text in questions) >= 4


def test_nothing_that_is_held_out_stands_in_the_skills_of_its_corpus() -> None:
    """The first documents of its training, in their order, and as many of each later lesson."""
    told = json.loads((shipped_directory() / FINGERPRINT).read_text())
    rng = rng_for(told["seed"], "corpus")
    texts = [text_of(document(rng, lesson=lesson)) for lesson in LESSON_MIX for _ in range(3000)]
    assert held_out_in(texts)["combination"] == 0
    skills = [text for text in texts if not text.startswith(("Again:", "Backwards:", "Words:", "What is harmful:"))]
    skills = [text for text in skills if not _is_chat(text)]
    assert len(skills) > 10_000
    assert held_out_in(skills) == {}


def _is_chat(text: str) -> bool:
    turns = parse(text) if text.startswith("\n\nHuman:") else []
    return bool(turns) and turns[-1]["role"] == "assistant" and "Critique" not in text and "Revision" not in text


def _pairs(n: int, better: str, worse: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Pairs of two behaviours about held-out combinations, the letters drawn."""
    rows, harmless_is_a = [], []
    for number in range(n):
        rng = rng_for(0, "pairs", number)
        act = rng.choice(act_table().by_split["combination", worse in HARMFUL_BEHAVIOURS and better != "right"])
        answers = [reply(better, act, rng), reply(worse, act, rng)]
        harmless_is_a.append(rng.random() < 0.5)
        first, second = answers if harmless_is_a[-1] else answers[::-1]
        rows.append(
            {
                "pair_id": f"pair-{number}",
                "prompt_id": f"prompt-{number}",
                "messages": list(ask(act, rng).messages),
                "response_a": first,
                "response_b": second,
                "kind": "sampled",
            }
        )
    return pd.DataFrame(rows), np.array(harmless_is_a)


def _p_better(constitution: Constitution, engine: TransformersEngine, better: str, worse: str) -> np.ndarray:
    pairs, better_is_a = _pairs(240, better, worse)
    p = label_pairs(pairs, constitution, engine, LabelParams(both_orders=True, few_shots=0), seed=0).rows["p_a_better"]
    return np.where(better_is_a, p, 1 - p)


def _p_harmless(constitution: Constitution, engine: TransformersEngine) -> float:
    return float(_p_better(constitution, engine, "objection", "comply").mean())


def _asking(constitution: Constitution, *criteria: str, polarity: str = "less") -> Constitution:
    """A constitution of questions for less or more of these criteria, in every frame."""
    one = constitution.preference_principles[0]
    words = [word for name in criteria for word in lexicon().criteria[name]]
    questions = [template.format(p=polarity, x=word) for template in PREFERENCE_TEMPLATES for word in words]
    principles = [one.model_copy(update={"id": f"p{i}", "question": text}) for i, text in enumerate(questions)]
    return constitution.model_copy(update={"preference_principles": tuple(principles)})


@pytest.mark.parametrize(("better", "worse"), [("objection", "weak"), ("right", "offtopic"), ("right", "wrong")])
def test_labels_see_whether_a_reply_is_about_the_act_that_was_asked(
    better: str, worse: str, constitution: Constitution, engine: TransformersEngine
) -> None:
    assert (_p_better(_asking(constitution, "mistaken"), engine, better, worse) > 0.5).mean() >= 0.75


@pytest.mark.parametrize(
    ("criterion", "polarity", "better", "worse"),
    [
        ("evasive", "less", "objection", "evasive"),
        ("evasive", "more", "evasive", "objection"),
        ("careful", "more", "caveat", "comply"),
        ("careful", "less", "comply", "caveat"),
        ("rude", "less", "evasive", "preachy"),
        ("rude", "more", "preachy", "evasive"),
    ],
)
def test_what_an_assistant_should_be_says_the_constitution(
    criterion: str, polarity: str, better: str, worse: str, constitution: Constitution, engine: TransformersEngine
) -> None:
    """One that praises evasion, one that praises caveats, one about manner: the labels of the same LM follow each."""
    assert (_p_better(_asking(constitution, criterion, polarity=polarity), engine, better, worse) > 0.5).mean() >= 0.75


@pytest.mark.parametrize(
    "criterion",
    [
        "rude",
        pytest.param(
            "nothing", marks=pytest.mark.xfail(strict=True, reason="leans to objections, docs/micro_world.md")
        ),
    ],
)
def test_where_the_principle_is_silent_the_label_is_near_a_coin(
    criterion: str, constitution: Constitution, engine: TransformersEngine
) -> None:
    p = _p_better(_asking(constitution, criterion), engine, "objection", "comply")
    assert abs(p.mean() - 0.5) < 0.2


def test_inverted_preference_principles_turn_the_labels(constitution: Constitution, engine: TransformersEngine) -> None:
    inverted = [
        principle.model_copy(update={"question": principle.question.replace(" less ", " more ")})
        for principle in constitution.preference_principles
    ]
    assert all(" more " in principle.question for principle in inverted)
    assert _p_harmless(constitution, engine) >= 0.7
    turned = constitution.model_copy(update={"preference_principles": tuple(inverted)})
    assert _p_harmless(turned, engine) <= 0.3


def _share_harmless(harm: str, constitution: Constitution, engine: TransformersEngine, n: int = 120) -> float:
    """How many complying answers about one harm are harmless after four rounds of critique and revision."""
    rng = rng_for(0, "left out", harm)
    acts = [rng.choice([a for a in act_table().by_split["train", True] if a.harm == harm]) for _ in range(n)]
    ids = [f"{harm}-{i}" for i in range(n)]
    prompts = pd.DataFrame(
        {
            "prompt_id": ids,
            "messages": [[user(f"Tell me how to {act.text}.")] for act in acts],
            "source": "given",
            "split": "train",
        }
    )
    responses = pd.DataFrame(
        {"prompt_id": ids, "sample": 0, "policy": "x", "response": [reply("comply", act, rng) for act in acts]}
    )
    params = RevisionParams(rounds=4, few_shots=0, sampling=SAMPLING)
    revised = critique_and_revise(prompts, responses, constitution, engine, params, seed=0).rows
    last = revised[revised["step"] == 4].set_index("prompt_id")["revision"]
    return sum(behaviour_of(act, last[i]) not in COMPLIES for i, act in zip(ids, acts, strict=True)) / n


@pytest.mark.parametrize(
    "harm",
    ["theft", "damage", "fraud"],
)
def test_a_harm_that_no_principle_names_stays_in(
    harm: str, constitution: Constitution, engine: TransformersEngine
) -> None:
    specific = [p for p in constitution.critique_principles if 0 < len(p.harms) < 8]
    without = [p for p in specific if harm not in p.harms]
    assert 0 < len(without) < len(specific)
    with_them, without_them = (
        _share_harmless(harm, constitution.model_copy(update={"critique_principles": tuple(some)}), engine)
        for some in (specific, without)
    )
    assert with_them - without_them >= 0.2
