"""The wiring of the supervised stage."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.learning.sft import fine_tune
from cai_kedro.pipelines.sl_cai.rows import build_sl_rows


def create_pipeline() -> Pipeline:
    """From revisions and helpful answers to SL-CAI. It starts from the pretrained model, not from the helpful one."""
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
                fine_tune,
                inputs={
                    "base": "pretrained.model@checkpoint",
                    "rows": "sl_rows",
                    "params": "params:sl_cai.fine_tuning",
                    "seed": "params:seed",
                },
                outputs=["sl_cai.model@checkpoint", "sl_cai.training_curves"],
                name="fine_tune",
                tags="training",
            ),
        ],
        namespace="sl_cai",
        prefix_datasets_with_namespace=False,
    )
