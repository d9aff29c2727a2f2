"""The wiring of one arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.binding import bind
from cai_kedro.core.lineage import Lineage
from cai_kedro.templates.rlhf.comparisons import mix_comparisons
from cai_kedro.templates.rlhf.judged import plan_references, pose_questions
from cai_kedro.templates.rlhf.parameters import ArmParams
from cai_kedro.templates.rlhf.policy import (
    gather_rl_prompts,
    learn_from_comparisons,
    reinforce,
    reinforce_by_labeller,
)
from cai_kedro.templates.rlhf.preference import fit_preference_model, measure_preference_model
from cai_kedro.templates.rlhf.snapshots import keep_snapshot, measure_snapshots, measure_unscored_snapshots
from cai_kedro.templates.role_check import LABELLER_CHECK

_PARAMS = {"shared": "params:rlhf", "seed": "params:seed"}
_TRAINING = {**_PARAMS, "weights": "params:training"}


@dataclass(frozen=True)
class Labeller:
    """Who rewards replies: the data set of the engine, and whether it is checked before it works.

    `start` is the name of the start policy in the tables, whose replies are the references.
    """

    engine: str
    checked: bool
    start: str


def create_pipeline(
    arm: ArmParams,
    *,
    base: str,
    comparisons: Sequence[str],
    start: str,
    red_team_prompts: str,
    helpful_prompts: str,
    labeller: Labeller | None = None,
) -> Pipeline:
    """Return the pipeline of an arm: comparisons → preference model → RL on the model `start`.

    An algorithm that learns from comparisons alone needs no preference model, and has none; no snapshot has a score.
    Neither has an arm that the `labeller` rewards, which needs no comparisons.

    All its datasets bear the arm's name in front, as in `rl_cai.policy.model@checkpoint`; parameters are shared
    (`params:rlhf`, `params:training`), and where the arm differs is fixed here. The preference model starts from the
    model `base`.
    """
    own, policy_start = f"{base}@checkpoint", f"{start}@checkpoint"
    given = {policy_start, *comparisons, red_team_prompts, helpful_prompts}
    parameters = {"rlhf", "seed", "training"}
    nodes = [_prompts(arm, red_team_prompts, helpful_prompts)]
    if arm.teacher == "judge":
        assert labeller is not None
        nodes += _judged(arm, start, helpful_prompts, labeller)
        given |= {f"{start}@engine", "constitution", labeller.engine, *([LABELLER_CHECK] if labeller.checked else [])}
        parameters |= {"shards"}
    elif arm.teacher == "comparisons":
        nodes = [_mixed(arm, comparisons), *nodes, *_learned(arm, policy_start)]
    else:
        nodes = [_mixed(arm, comparisons), *_preference_model(arm, own), *nodes, *_reinforced(arm, policy_start)]
        given |= {own}
    return Pipeline([*nodes, _kept(arm, policy_start)], namespace=arm.name, inputs=given, parameters=parameters)


def arms_pipeline(lineage: Lineage, arms: Sequence[str], prompts: str = "") -> Pipeline:
    """Return the pipelines of some arms; `prompts` stands before the names of the tables that RL draws prompts from."""
    pipelines = [
        create_pipeline(
            ArmParams.of(arm, lineage),
            base=lineage.model_of(lineage.base),
            comparisons=lineage.tables_of(arm),
            start=lineage.model_of(lineage.starts[arm]),
            red_team_prompts=f"{prompts}red_team_prompts",
            helpful_prompts=f"{prompts}helpful_prompts",
            labeller=_labeller(lineage, arm),
        )
        for arm in arms
    ]
    return sum(pipelines, start=Pipeline([]))


def _labeller(lineage: Lineage, arm: str) -> Labeller | None:
    if arm not in lineage.judged:
        return None
    return Labeller(lineage.engine_of("labeller"), lineage.probe is not None, lineage.starts[arm])


def _mixed(arm: ArmParams, comparisons: Sequence[str]) -> Node:
    return Node(
        bind(mix_comparisons, arm=arm),
        inputs={**_PARAMS, **{name: name for name in comparisons}},
        outputs="mixed_comparisons",
        name="mix_comparisons",
    )


def _preference_model(arm: ArmParams, base: str) -> list[Node]:
    return [
        Node(
            bind(fit_preference_model, arm=arm),
            inputs={"base": base, "comparisons": "mixed_comparisons", **_TRAINING},
            outputs=["preference.model@checkpoint", "preference_curves"],
            name="fit_preference_model",
            tags="training",
        ),
        Node(
            bind(measure_preference_model, arm=arm),
            inputs={
                "preference_model": "preference.model@checkpoint",
                "comparisons": "mixed_comparisons",
                **_PARAMS,
            },
            outputs="preference_metrics",
            name="measure_preference_model",
        ),
    ]


def _prompts(arm: ArmParams, red_team_prompts: str, helpful_prompts: str) -> Node:
    return Node(
        bind(gather_rl_prompts, arm=arm),
        inputs={"red_team_prompts": red_team_prompts, "helpful_prompts": helpful_prompts, **_PARAMS},
        outputs="rl_prompts",
        name="gather_rl_prompts",
    )


def _reinforced(arm: ArmParams, policy_start: str) -> list[Node]:
    return [
        Node(
            bind(reinforce, arm=arm),
            inputs={
                "start": policy_start,
                "preference_model": "preference.model@checkpoint",
                "prompts": "rl_prompts",
                "preference_metrics": "preference_metrics",
                **_TRAINING,
            },
            outputs=["snapshots@checkpoint", "policy_curves"],
            name="reinforce",
            tags="training",
        ),
        Node(
            bind(measure_snapshots, arm=arm),
            inputs={
                "start": policy_start,
                "snapshots": "snapshots@checkpoint",
                "preference_model": "preference.model@checkpoint",
                "prompts": "rl_prompts",
                **_PARAMS,
            },
            outputs="snapshot_signals",
            name="measure_snapshots",
            tags="sampling",
        ),
    ]


def _learned(arm: ArmParams, policy_start: str) -> list[Node]:
    return [
        Node(
            bind(learn_from_comparisons, arm=arm),
            inputs={"start": policy_start, "comparisons": "mixed_comparisons", **_TRAINING},
            outputs=["snapshots@checkpoint", "policy_curves"],
            name="learn_from_comparisons",
            tags="training",
        ),
        _unscored(arm, policy_start),
    ]


def _judged(arm: ArmParams, start: str, helpful_prompts: str, labeller: Labeller) -> list[Node]:
    policy_start = f"{start}@checkpoint"
    return [
        Node(
            bind(plan_references, arm=arm, policy=labeller.start),
            inputs={"prompts": "rl_prompts", "engine": f"{start}@engine", "shards": "params:shards", **_PARAMS},
            outputs="reference_responses",
            name="sample_references",
            tags="sampling",
        ),
        Node(
            bind(pose_questions, arm=arm),
            inputs={
                "prompts": "rl_prompts",
                "references": "reference_responses",
                "helpful_prompts": helpful_prompts,
                "constitution": "constitution",
                **({"check": LABELLER_CHECK} if labeller.checked else {}),
                "seed": "params:seed",
            },
            outputs="reward_questions",
            name="pose_questions",
        ),
        Node(
            bind(reinforce_by_labeller, arm=arm),
            inputs={
                "start": policy_start,
                "questions": "reward_questions",
                "constitution": "constitution",
                "labeller": labeller.engine,
                **_TRAINING,
            },
            outputs=["snapshots@checkpoint", "policy_curves"],
            name="reinforce",
            tags="training",
        ),
        _unscored(arm, policy_start),
    ]


def _unscored(arm: ArmParams, policy_start: str) -> Node:
    return Node(
        bind(measure_unscored_snapshots, arm=arm),
        inputs={
            "start": policy_start,
            "snapshots": "snapshots@checkpoint",
            "prompts": "rl_prompts",
            **_PARAMS,
        },
        outputs="snapshot_signals",
        name="measure_snapshots",
        tags="sampling",
    )


def _kept(arm: ArmParams, policy_start: str) -> Node:
    return Node(
        bind(keep_snapshot, arm=arm),
        inputs={
            "start": policy_start,
            "snapshots": "snapshots@checkpoint",
            "signals": "snapshot_signals",
            **_PARAMS,
        },
        outputs=["policy.model@checkpoint", "snapshot_choice"],
        name="keep_snapshot",
    )
