"""The report: every figure and every transcript of a run on one page. Reads tables, computes nothing anew."""

from cai_kedro.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
