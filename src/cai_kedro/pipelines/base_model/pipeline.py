"""`source` → the pretrained model."""

from kedro.pipeline import Pipeline, node, pipeline

from cai_kedro.pipelines.base_model.nodes import provide_pretrained


def create_pipeline() -> Pipeline:
    """Return the pipeline that provides `pretrained.model`."""
    return pipeline(
        [
            node(
                provide_pretrained,
                ["params:base_model", "params:seed"],
                ["pretrained.model@checkpoint", "pretraining_curves"],
                name="provide_pretrained",
                tags=["base_model"],
            )
        ],
        namespace="base_model",
        prefix_datasets_with_namespace=False,
    )
