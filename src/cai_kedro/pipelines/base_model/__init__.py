"""The pretrained language model that everything starts from."""

from cai_kedro.pipelines.base_model.pipeline import create_pipeline, untaught_pipeline

__all__ = ["create_pipeline", "untaught_pipeline"]
