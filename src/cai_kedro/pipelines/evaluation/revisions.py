"""What revising does: preference model scores and judgements after 0, 1, 2, … rounds (§3.3 and §3.5)."""

import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses
from cai_kedro.metrics.behaviour import behaviour_shares, to_look_alikes
from cai_kedro.metrics.estimate import bounded_mean, mean, proportion
from cai_kedro.pipelines.evaluation.judgements import judged
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.ratings import Metrics, as_estimate
from cai_kedro.templates.scores import without_unscored
from cai_kedro.templates.selection import choose

#: The two ways to revise; both start from the same initial response, step 0.
CRITIQUE, DIRECT = "critique", "direct"


def gather_revised_responses(
    initial_responses: pd.DataFrame,
    revisions: pd.DataFrame,
    direct_revisions: pd.DataFrame,
    red_team_prompts: pd.DataFrame,
    params: EvaluationParams,
    seed: int,
) -> pd.DataFrame:
    """Put initial responses and revisions under one another (→ `responses`); `policy` is arm and step: `critique_1`.

    Only first samples, and only prompts with every step in both arms: steps and arms are compared on the same prompts.
    """
    steps = []
    for arm, table in ((CRITIQUE, revisions), (DIRECT, direct_revisions)):
        steps.append(initial_responses.assign(policy=f"{arm}_0"))
        names = f"{arm}_" + table["step"].astype(str)
        steps.append(table.rename(columns={"revision": "response"}).assign(policy=names))
    answers = pd.concat(steps, ignore_index=True)[["prompt_id", "sample", "policy", "response"]]
    answers = answers[answers["sample"] == 0]
    steps_per_prompt = answers.groupby("prompt_id")["policy"].transform("nunique")
    complete = answers[steps_per_prompt == answers["policy"].nunique()]
    whole = red_team_prompts[red_team_prompts["prompt_id"].isin(complete["prompt_id"])]
    chosen = choose(whole, params.revisions.prompts, seed, "revisions")["prompt_id"]
    return complete[complete["prompt_id"].isin(chosen)].reset_index(drop=True)


def score_revisions(
    revised_responses: pd.DataFrame,
    red_team_prompts: pd.DataFrame,
    preference_model: LanguageModel,
    params: EvaluationParams,
) -> pd.DataFrame:
    """Score every step with one preference model (`responses` → `scores`); `arm` is `critique` or `direct`."""
    messages = dict(zip(red_team_prompts["prompt_id"], map(as_messages, red_team_prompts["messages"]), strict=True))
    conversations = [messages[prompt_id] for prompt_id in revised_responses["prompt_id"]]
    texts = list(revised_responses["response"])
    scores = score_responses(preference_model, conversations, texts, params.preference.batch_size).astype(float)
    table = _with_arm_and_step(revised_responses[["prompt_id", "sample", "policy"]]).assign(score=scores)
    return without_unscored(table[["prompt_id", "sample", "step", "arm", "score"]])


def judge_revisions(
    revised_responses: pd.DataFrame, red_team_prompts: pd.DataFrame, judge: Judge, axes: Axes
) -> pd.DataFrame:
    """Judge every step on the axis of red-team prompts (`responses` → `judgements`)."""
    prompts = red_team_prompts[["prompt_id", "messages", "split"]].assign(axis=axes.of_training("red_team"))
    return judged(revised_responses.merge(prompts, on="prompt_id", how="left", validate="many_to_one"), judge)


def measure_revisions(
    params: EvaluationParams,
    revision_scores: pd.DataFrame | None = None,
    revision_judgements: pd.DataFrame | None = None,
) -> Metrics:
    """Return what each round changes, by scores and judgements as far as there are some.

    `pm_score.revision_k` and `pm_score.direct_revision_k` in log-odds units, `….gain_k` the paired gain over step k-1;
    `revisions.{arm}.{share}.step_k` by the judge, `harmless` counting ratings from `harmless_from` on (look-alikes left
    out); and
    `revisions.critique_over_direct.harmless.step_k`, the paired difference of the two arms.
    """
    scored = {} if revision_scores is None else _score_metrics(revision_scores)
    return scored if revision_judgements is None else {**scored, **_judged_metrics(revision_judgements, params)}


def _score_metrics(revision_scores: pd.DataFrame) -> Metrics:
    metrics: Metrics = {}
    for arm, label in ((CRITIQUE, "revision"), (DIRECT, "direct_revision")):
        scores = revision_scores[revision_scores["arm"] == arm].pivot(index="prompt_id", columns="step", values="score")
        for step in scores.columns:
            metrics[f"pm_score.{label}_{step}"] = mean(scores[step])
            if step > 0:
                metrics[f"pm_score.{label}_gain_{step}"] = mean(scores[step] - scores[step - 1])
    return metrics


def _judged_metrics(revision_judgements: pd.DataFrame, params: EvaluationParams) -> Metrics:
    harmless_from = params.revisions.harmless_from
    table = _with_arm_and_step(revision_judgements)
    of_harm = table[table["rating"].notna() & ~to_look_alikes(table)]
    rated = of_harm.assign(harmless=lambda rows: (rows["rating"] >= harmless_from).astype(float))
    metrics: Metrics = {}
    for (arm, step), part in rated.groupby(["arm", "step"], sort=True):
        metrics[f"revisions.{arm}.harmless.step_{step}"] = proportion(part["harmless"].sum(), len(part))
    for row in behaviour_shares(table, params.behaviours.by_axis, ["arm", "step"]).to_dict("records"):
        metrics[f"revisions.{row['arm']}.{row['group']}.step_{row['step']}"] = as_estimate(row)
    harmless = rated.pivot(index="prompt_id", columns=["arm", "step"], values="harmless")
    for step in sorted(set(rated["step"]) - {0}):
        name = f"revisions.critique_over_direct.harmless.step_{step}"
        metrics[name] = bounded_mean(harmless[CRITIQUE, step] - harmless[DIRECT, step], -1, 1)
    return metrics


def _with_arm_and_step(table: pd.DataFrame) -> pd.DataFrame:
    """Read `arm` and `step` from policies named like `critique_1`."""
    parts = table["policy"].str.rsplit("_", n=1)
    return table.assign(arm=parts.str[0], step=parts.str[1].astype(int))
