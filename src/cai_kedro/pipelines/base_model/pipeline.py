"""`source` → the pretrained model; and every other model that the user has."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.binding import bind
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.base_model.nodes import provide_given, provide_pretrained, provide_untaught


def create_pipeline(lineage: Lineage) -> Pipeline:
    """Return the pipeline that provides the pretrained model and the given ones, of policies and of roles."""
    return Pipeline(
        [
            Node(
                provide_pretrained,
                inputs=["params:base_model", "params:seed"],
                outputs=[f"{lineage.model_of(lineage.base)}@checkpoint", "pretraining_curves"],
                name="provide_pretrained",
                tags=["base_model"],
            ),
            *(
                Node(
                    bind(provide_given, model=given, layout=lineage.given_layouts[model]),
                    inputs=None,
                    outputs=f"{model}@checkpoint",
                    name=f"provide_{model.removesuffix('.model')}",
                    tags=["base_model"],
                )
                for model, given in lineage.given_models.items()
            ),
        ],
        namespace="base_model",
        prefix_datasets_with_namespace=False,
    )


def untaught_pipeline() -> Pipeline:
    """Return the pipeline that provides the model that is taught skills (`teach_skills`)."""
    node = Node(
        provide_untaught,
        inputs=["params:base_model", "params:seed"],
        outputs="untaught.model@checkpoint",
        name="provide_untaught",
        tags=["base_model"],
    )
    return Pipeline([node], namespace="base_model", prefix_datasets_with_namespace=False)
