"""Progress lines come at their time and say what is true."""

import logging

import pytest

from cai_kedro.core import progress as progress_module
from cai_kedro.core.progress import RowProgress, clock


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4s"), (125, "2m05s"), (3725, "1h02m")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_line_every_so_often_with_the_rate_of_what_was_made_now(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module.logger, "disabled", False)  # MLflow's migrations may have turned it off
    now = 0.0
    progress = RowProgress("revisions", total=1000, reused=400, every=10, now=lambda: now)
    with caplog.at_level(logging.INFO):
        for seconds, quarantined in ((6.0, 0), (12.0, 2), (18.0, 0), (24.0, 1)):
            now = seconds
            progress.add(60, quarantined, 600)
    # 120 rows and 1,200 tokens in 12 s: the other 480 rows take 48 s
    assert caplog.messages == [
        "revisions: 520/1000 rows, 10.0 rows/s, 100 tokens/s, 48s left, 2 quarantined",
        "revisions: 640/1000 rows, 10.0 rows/s, 100 tokens/s, 36s left, 3 quarantined",
    ]


def test_an_engine_that_counts_no_tokens() -> None:
    progress = RowProgress("revisions", total=10, reused=0, now=lambda: 0.0)
    progress.add(5, 0, None)
    assert progress.line(5.0) == "revisions: 5/10 rows, 1.0 rows/s, 5s left"
    assert RowProgress("revisions", total=10, reused=0).line(0.0) == "revisions: 0/10 rows, 0.0 rows/s, ? left"
