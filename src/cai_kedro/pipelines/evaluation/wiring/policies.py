"""Every policy answers the held-out prompts, and a referee meets the answers: Elo."""

from collections.abc import Mapping, Sequence

from kedro.pipeline import Node

from cai_kedro.core.axes import Axes
from cai_kedro.core.binding import bind
from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.pipelines.evaluation.answers import answer_as, gather_responses
from cai_kedro.pipelines.evaluation.benchmarks import measure_benchmarks
from cai_kedro.pipelines.evaluation.exam import gather_eval_prompts
from cai_kedro.pipelines.evaluation.head_to_heads import admit_referee_of, decide_head_to_heads
from cai_kedro.pipelines.evaluation.ratings import compare_neighbours, rate_policies
from cai_kedro.pipelines.evaluation.wiring.names import AXES, PARAMS, SEED


def answers(lineage: Lineage, axes: Axes) -> list[Node]:
    """Return the nodes of the answers; the prompts are those of all axes."""
    return [
        Node(
            gather_eval_prompts,
            inputs={"params": PARAMS, "axes": AXES, "seed": SEED, **{table: table for table in axes.tables}},
            outputs=["policy_prompts", "prompt_axes"],
            name="gather_eval_prompts",
        ),
        *(
            Node(
                answer_as(policy),
                inputs=["policy_prompts", f"{model}@engine", PARAMS, SEED, "params:shards"],
                outputs=f"{policy}_eval_responses",
                name=f"answer_as_{policy}",
                tags="sampling",
            )
            for policy, model in lineage.evaluated.items()
        ),
        Node(
            gather_responses,
            inputs=[f"{policy}_eval_responses" for policy in lineage.evaluated],
            outputs="policy_responses",
            name="gather_responses",
        ),
    ]


def benchmarks(lineage: Lineage) -> Node:
    """Return the node that reads what lm-eval wrote of the policies."""
    engraved, verbose = (lineage.self_aligned.get(stage, "") for stage in (ENGRAVING, CLONING))
    return Node(
        bind(measure_benchmarks, policies=tuple(lineage.evaluated), engraved=engraved, verbose=verbose),
        inputs={"answers": "benchmark_answers"},
        outputs="evaluation.benchmark_metrics",
        name="measure_benchmarks",
    )


def elo(lineage: Lineage, deciders: Mapping[str, Sequence[str]]) -> list[Node]:
    """Return the nodes from the answers to the Elo ratings of the policies; `deciders` is `Exam.deciders`."""
    return [
        Node(
            admit_referee_of(tuple(lineage.teachers), deciders),
            inputs=[PARAMS, *deciders, *(f"{model}@digest" for model in lineage.teachers.values())],
            outputs="referee_metrics",
            name="admit_referee",
        ),
        Node(
            decide_head_to_heads,
            inputs={
                "responses": "policy_responses",
                "prompts": "policy_prompts",
                "prompt_axes": "prompt_axes",
                "axes": AXES,
                "seed": SEED,
                **{f"by_{entry}": entry for entry in deciders},
            },
            outputs="policy_head_to_heads",
            name="decide_head_to_heads",
        ),
        Node(
            bind(rate_policies, reference=lineage.zero),
            inputs=["policy_head_to_heads", "policy_prompts", PARAMS, SEED, "referee_metrics"],
            outputs="elo_metrics",
            name="rate_policies",
        ),
        Node(
            bind(compare_neighbours, reference=lineage.zero),
            inputs=["policy_head_to_heads", PARAMS, SEED, "referee_metrics"],
            outputs="elo_gap_metrics",
            name="compare_neighbours",
        ),
    ]
