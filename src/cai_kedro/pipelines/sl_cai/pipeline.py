"""The wiring of the supervised stage."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.sl_cai.rows import build_sl_rows
from cai_kedro.pipelines.sl_cai.training import fine_tune_policy


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From revisions and helpful answers to SL-CAI, on the policy that the lineage says; nothing if it is given."""
    name = lineage.supervised
    if name is None:
        return Pipeline([])
    start = lineage.model_of(lineage.present[name].start or lineage.base)
    return Pipeline(
        [
            Node(
                build_sl_rows,
                inputs={
                    "red_team_prompts": "red_team_prompts",
                    "revisions": "revisions",
                    "helpful_prompts": "helpful_prompts",
                    "helpful_responses": "helpful_responses",
                    "params": "params:sl_cai.rows",
                    "seed": "params:seed",
                },
                outputs="sl_rows",
                name="build_sl_rows",
            ),
            Node(
                fine_tune_policy,
                inputs={
                    "base": f"{start}@checkpoint",
                    "rows": "sl_rows",
                    "params": "params:sl_cai.fine_tuning",
                    "seed": "params:seed",
                    "weights": "params:training",
                },
                outputs=[f"{lineage.model_of(name)}@checkpoint", "sl_cai.training_curves"],
                name="fine_tune",
                tags="training",
            ),
        ],
        namespace="sl_cai",
        prefix_datasets_with_namespace=False,
    )
