"""The wiring of one arm."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cai_kedro.templates.rlhf.comparisons import mix_comparisons
from cai_kedro.templates.rlhf.policy import gather_rl_prompts, reinforce
from cai_kedro.templates.rlhf.preference import fit_preference_model, measure_preference_model
from cai_kedro.templates.rlhf.snapshots import keep_snapshot, measure_snapshots

_BASE = "pretrained.model@checkpoint"
_PARAMS = {"shared": "params:rlhf", "arm": "params:arm", "seed": "params:seed"}


def create_pipeline(
    arm: str, *, comparisons: Sequence[str], start: str, red_team_prompts: str, helpful_prompts: str
) -> Pipeline:
    """Return the pipeline of an arm: comparisons → preference model → RL on the model `start`.

    All its datasets bear the arm's name in front, as in `rl_cai.policy.model@checkpoint`; parameters are shared
    (`params:rlhf`) but for `params:{arm}.arm`. The preference model starts from the pretrained model.
    """
    policy_start = f"{start}@checkpoint"
    return Pipeline(
        [*_preference_model(comparisons), *_policy(policy_start, red_team_prompts, helpful_prompts)],
        namespace=arm,
        inputs={_BASE, policy_start, *comparisons, red_team_prompts, helpful_prompts},
        parameters={"rlhf", "seed"},
    )


def _preference_model(comparisons: Sequence[str]) -> list[Node]:
    return [
        Node(
            mix_comparisons,
            inputs={**_PARAMS, **{name: name for name in comparisons}},
            outputs="mixed_comparisons",
            name="mix_comparisons",
        ),
        Node(
            fit_preference_model,
            inputs={"base": _BASE, "comparisons": "mixed_comparisons", **_PARAMS},
            outputs=["preference.model@checkpoint", "preference_curves"],
            name="fit_preference_model",
            tags="training",
        ),
        Node(
            measure_preference_model,
            inputs={
                "preference_model": "preference.model@checkpoint",
                "comparisons": "mixed_comparisons",
                **_PARAMS,
            },
            outputs="preference_metrics",
            name="measure_preference_model",
        ),
    ]


def _policy(policy_start: str, red_team_prompts: str, helpful_prompts: str) -> list[Node]:
    return [
        Node(
            gather_rl_prompts,
            inputs={"red_team_prompts": red_team_prompts, "helpful_prompts": helpful_prompts, **_PARAMS},
            outputs="rl_prompts",
            name="gather_rl_prompts",
        ),
        Node(
            reinforce,
            inputs={
                "start": policy_start,
                "preference_model": "preference.model@checkpoint",
                "prompts": "rl_prompts",
                "preference_metrics": "preference_metrics",
                **_PARAMS,
            },
            outputs=["snapshots@checkpoint", "policy_curves"],
            name="reinforce",
            tags="training",
        ),
        Node(
            measure_snapshots,
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
        Node(
            keep_snapshot,
            inputs={
                "start": policy_start,
                "snapshots": "snapshots@checkpoint",
                "signals": "snapshot_signals",
                **_PARAMS,
            },
            outputs=["policy.model@checkpoint", "snapshot_choice"],
            name="keep_snapshot",
        ),
    ]
