"""One prompt of each kind and principle, as the stages write them; no model is needed."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import pandas as pd

from cai_kedro.core.constitution import CritiquePrinciple, PreferencePrinciple, draw_principle
from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH
from cai_kedro.core.seeding import SeedKey, rng_for
from cai_kedro.pipelines.data_generation.red_team import generate_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import critique_and_revise, revise_directly
from cai_kedro.pipelines.preference_labeling.cot_labels import label_pairs_with_cot
from cai_kedro.pipelines.preference_labeling.labels import label_pairs
from cai_kedro.planning.inputs import Material, Settings
from cai_kedro.planning.meter import Recorder
from cai_kedro.templates.responses import sample_responses

P = TypeVar("P", CritiquePrinciple, PreferencePrinciple)

RESPONSE, CRITIQUE, THOUGHTS = "[a response]", "[a critique]", "[thoughts]"


def previews(settings: Settings, material: Material, layout: Layout = HH) -> Iterator[tuple[str, str]]:
    """Give a title and a prompt of every kind in a layout, and of every principle where one stands in it."""
    lists = Recorder(layout=layout)
    one_list = settings.red_team.model_copy(update={"lists": 1})
    generate_red_team_prompts(
        material.red_team, material.red_team_held_out, material.constitution, lists, one_list, settings.seed
    )
    yield "a list of red-team prompts", lists.asked[0][0]
    answers = Recorder(layout=layout)
    one_answer = settings.initial_responses.model_copy(update={"prompts": 1, "samples": 1})
    sample_responses(material.red_team, answers, one_answer, settings.seed)
    yield "a response", answers.asked[0][0]
    yield from _of_critique_principles(settings, material, layout)
    yield from _of_preference_principles(settings, material, layout)


def _of_critique_principles(settings: Settings, material: Material, layout: Layout) -> Iterator[tuple[str, str]]:
    constitution, seed = material.constitution, settings.seed
    ids = _drawing(constitution.critique_principles, seed, "critique", 0, 1)
    prompts = _prompts(material, ids)
    responses = pd.DataFrame(
        {"prompt_id": ids, "sample": 0, "policy": settings.lineage.name_of("assistant"), "response": RESPONSE}
    )
    params = settings.revision.model_copy(update={"rounds": 1})
    critic, direct = Recorder(CRITIQUE, "[a revision]", layout=layout), Recorder(layout=layout)
    critique_and_revise(prompts, responses, constitution, critic, params, seed)
    revise_directly(prompts, responses, constitution, direct, params, seed)
    for place, principle in enumerate(constitution.critique_principles):
        yield f"a critique under {principle.id}", critic.asked[0][place]
        yield f"a revision under {principle.id}", critic.asked[1][place]
        yield f"a direct revision under {principle.id}", direct.asked[0][place]


def _of_preference_principles(settings: Settings, material: Material, layout: Layout) -> Iterator[tuple[str, str]]:
    constitution, seed = material.constitution, settings.seed
    ids = _drawing(constitution.preference_principles, seed, "preference")
    pairs = _prompts(material, ids)[["prompt_id", "messages"]].assign(
        pair_id=ids, response_a="[response A]", response_b="[response B]", kind="sampled"
    )
    labels, thinker = Recorder(layout=layout), Recorder(THOUGHTS, layout=layout)
    label_pairs(pairs, constitution, labels, settings.labels, seed)
    one = settings.cot_labels.model_copy(update={"samples": 1, "pairs": None})
    label_pairs_with_cot(pairs, constitution, thinker, one, seed)
    for place, principle in enumerate(constitution.preference_principles):
        yield f"a comparison under {principle.id}", labels.asked[0][place]
        yield f"a comparison with thoughts under {principle.id}", thinker.asked[1][place]


def _drawing(principles: Sequence[P], seed: int, stage: str, *step: SeedKey) -> list[str]:
    """Return ids for which the stages draw the first principle, the second one, and so on."""
    found: dict[str, str] = {}
    number = 0
    while len(found) < len(principles):
        name = f"preview-{number}"
        found.setdefault(draw_principle(principles, rng_for(seed, stage, name, *step)).id, name)
        number += 1
    return [found[principle.id] for principle in principles]


def _prompts(material: Material, ids: Sequence[str]) -> pd.DataFrame:
    shown = material.red_team.iloc[[place % len(material.red_team) for place in range(len(ids))]]
    return shown.reset_index(drop=True).assign(prompt_id=list(ids))
