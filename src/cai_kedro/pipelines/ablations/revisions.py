"""Ablations of the supervised stage: number of principles (F6), critiques (F7), and which revisions are learned."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import RATING_SCALE, Judge
from cai_kedro.core.seeding import rng_for
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses
from cai_kedro.metrics.diversity import distinct_n_estimate
from cai_kedro.metrics.estimate import Estimate, bounded_mean, mean
from cai_kedro.pipelines.ablations.effects import (
    AblationParams,
    effects,
    elo_of_variants,
    harmless_share,
    judged,
)
from cai_kedro.templates.selection import choose

#: How many critique principles are drawn from (figure 6 of the paper).
PRINCIPLES = (1, 2, 4, 8, 16)


def limit_responses(initial_responses: pd.DataFrame, params: AblationParams, seed: int) -> pd.DataFrame:
    """Choose the first responses that are revised again (`responses` → `responses`)."""
    first = initial_responses[initial_responses["sample"] == 0]
    return choose(first, params.prompts, seed, "ablations")


def first_principles(k: int) -> Callable[[Constitution, int], Constitution]:
    """Return the node function that leaves k critique principles; smaller sets are part of larger ones."""

    def leave(constitution: Constitution, seed: int) -> Constitution:
        """Return the constitution with k critique principles in a drawn order, all of them where it has no more."""
        principles = list(constitution.critique_principles)
        rng_for(seed, "ablation principles").shuffle(principles)
        return constitution.model_copy(update={"critique_principles": tuple(principles[:k])})

    leave.__name__ = f"leave_{k}_principles"
    return leave


def rate_principles(
    prompts: pd.DataFrame,
    judge: Judge,
    preference_model: LanguageModel,
    params: AblationParams,
    seed: int,
    **revisions: pd.DataFrame,
) -> pd.DataFrame:
    """Compare last revisions by number of principles (F6): Elo, harmless share, preference model score, diversity."""
    answers = _last_revisions(prompts, {name.removeprefix("revisions_"): table for name, table in revisions.items()})
    rated = judged(answers, judge)
    elo = elo_of_variants(rated, "harmlessness", str(max(PRINCIPLES)), judge, params, seed)
    tables = []
    for (variant,), part in rated.groupby(["variant"], sort=False):
        conversations = [as_messages(cell) for cell in part["messages"]]
        texts = list(part["response"])
        scores = score_responses(preference_model, conversations, texts, params.batch_size)
        found: dict[str, Estimate] = {
            "elo_harmlessness": elo[str(variant)],
            "harmless": harmless_share(part, params.harmless_from),
            "pm_score": mean(scores[~np.isnan(scores)]),
            "distinct_2": distinct_n_estimate(texts, 2),
        }
        tables.append(effects("number of principles", str(variant), found))
    return pd.concat(tables, ignore_index=True)


def rate_critiques(
    prompts: pd.DataFrame,
    initial_responses: pd.DataFrame,
    revisions: pd.DataFrame,
    direct_revisions: pd.DataFrame,
    judge: Judge,
    params: AblationParams,
    seed: int,
) -> pd.DataFrame:
    """Compare critiqued with direct revisions step by step, same draws (F7). The first response is at 0 Elo."""
    chosen = set(initial_responses["prompt_id"])
    steps = [initial_responses.assign(variant="first response")]
    for arm, table in (("critiqued", revisions), ("direct", direct_revisions)):
        here = table[table["prompt_id"].isin(chosen) & (table["sample"] == 0)]
        names = f"{arm} {'step'} " + here["step"].astype(str)
        steps.append(here.rename(columns={"revision": "response"}).assign(variant=names))
    answers = pd.concat(steps)[["prompt_id", "variant", "response"]]
    whole = answers.groupby("prompt_id")["variant"].transform("size") == answers["variant"].nunique()
    rated = judged(_with_messages(answers[whole], prompts), judge)
    elo = elo_of_variants(rated, "harmlessness", "first response", judge, params, seed)
    tables = []
    for (variant,), part in rated.groupby(["variant"], sort=False):
        found = {"elo_harmlessness": elo[str(variant)], "harmless": harmless_share(part, params.harmless_from)}
        tables.append(effects("critiques", str(variant), found))
    wide = rated.pivot(index="prompt_id", columns="variant", values="harmlessness")
    for step in sorted({name.rpartition(" ")[2] for name in wide if name.startswith("critiqued")}):
        ahead = wide[f"critiqued step {step}"] - wide[f"direct step {step}"]
        gap = bounded_mean(ahead, -RATING_SCALE[1], RATING_SCALE[1])
        tables.append(effects("critiques", f"critiqued over direct, step {step}", {"harmlessness_difference": gap}))
    return pd.concat(tables, ignore_index=True)


def rate_sl_policies(
    prompts: pd.DataFrame,
    red_team_prompts: pd.DataFrame,
    policy_responses: pd.DataFrame,
    last: pd.DataFrame,
    as_many: pd.DataFrame,
    judge: Judge,
    params: AblationParams,
    seed: int,
) -> pd.DataFrame:
    """Compare SL-CAI with one that learned the last revisions only, and one that learned as many of all steps.

    Each is a policy at the held-out prompts; SL-CAI of the run, which learned all, is at 0 Elo.
    """
    variants = {"all": policy_responses[policy_responses["policy"] == "sl_cai"], "last": last, "all, as many": as_many}
    answers = pd.concat([table.assign(variant=name) for name, table in variants.items()])
    rated = judged(_with_messages(answers[["prompt_id", "variant", "response"]], prompts), judge)
    red_team = rated["prompt_id"].isin(red_team_prompts["prompt_id"])
    parts = {"harmlessness": rated[red_team], "helpfulness": rated[~red_team]}
    elo = {name: elo_of_variants(part, name, "all", judge, params, seed) for name, part in parts.items()}
    tables = []
    for variant in variants:
        of = {name: part[part["variant"] == variant] for name, part in parts.items()}
        found = {
            "elo_harmlessness": elo["harmlessness"][variant],
            "elo_helpfulness": elo["helpfulness"][variant],
            "harmless": harmless_share(of["harmlessness"], params.harmless_from),
            "helpfulness": bounded_mean(of["helpfulness"]["helpfulness"], *RATING_SCALE),
        }
        tables.append(effects("revisions learned", variant, found))
    return pd.concat(tables, ignore_index=True)


def _last_revisions(prompts: pd.DataFrame, revisions: dict[str, pd.DataFrame]) -> pd.DataFrame:
    tables = [
        table[table["step"] == table["step"].max()].rename(columns={"revision": "response"}).assign(variant=name)
        for name, table in revisions.items()
    ]
    answers = pd.concat(tables)[["prompt_id", "variant", "response"]]
    whole = answers.groupby("prompt_id")["variant"].transform("size") == len(revisions)
    return _with_messages(answers[whole], prompts)


def _with_messages(answers: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    return answers.merge(prompts[["prompt_id", "messages"]], on="prompt_id", how="inner", validate="many_to_one")
