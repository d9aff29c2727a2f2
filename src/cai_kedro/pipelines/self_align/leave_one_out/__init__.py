"""What each rule of SELF-ALIGN does: the answers that it has a part in, made again without it. On request."""

from cai_kedro.pipelines.self_align.leave_one_out.pipeline import can_leave_out, create_pipeline

__all__ = ["can_leave_out", "create_pipeline"]
