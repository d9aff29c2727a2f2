"""One line of progress every few seconds, through logging: it reads the same in a terminal and in a log file."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0


def clock(seconds: float) -> str:
    """Write a duration: `45s`, `2m05s`, `1h02m`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


class RowProgress:
    """Logs how many rows of a table are there, how fast they come, and when the rest will be."""

    def __init__(
        self,
        name: str,
        total: int,
        reused: int,
        every: float = SECONDS_BETWEEN_LINES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._total, self._reused = name, total, reused
        self._every, self._now = every, now
        self._started = self._last = now()
        self._made = self._quarantined = self._tokens = 0

    def add(self, rows: int, quarantined: int, tokens: int | None) -> None:
        """Count rows that were just made, those in quarantine among them; log a line when it is time."""
        self._made += rows
        self._quarantined += quarantined
        self._tokens += tokens or 0
        if self._now() - self._last >= self._every:
            self._last = self._now()
            logger.info(self.line(self._last - self._started))

    def line(self, seconds: float) -> str:
        """Write rows done, rows and tokens a second, time left, rows in quarantine."""
        rate = self._made / seconds if seconds > 0 else 0.0
        done = self._reused + self._made
        left = clock((self._total - done) / rate) if rate else "?"
        tokens = f" {self._tokens / seconds:.0f} tokens/s," if self._tokens and seconds > 0 else ""
        quarantined = f", {self._quarantined} quarantined" if self._quarantined else ""
        return f"{self._name}: {done}/{self._total} rows, {rate:.1f} rows/s,{tokens} {left} left{quarantined}"
