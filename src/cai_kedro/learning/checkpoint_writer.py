"""Writing the checkpoints of a training as time passes: when the next one is due, how many are kept, and full disks."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from cai_kedro.core.durable import part_of, remove
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoints import RunFolder, step_of

logger = logging.getLogger(__name__)

KEPT = 2  # where the newest is damaged, the other one is taken
#: The next checkpoint comes no sooner than so many times what the last one took to write: at most 5 % of the time.
_REST = 19
#: What a full or broken disk is to safetensors and to `torch.save`, beside `OSError`.
_NOT_WRITTEN = (OSError, SafetensorError, RuntimeError)


class CheckpointWriter:
    """The checkpoints of a training that begins, or goes on from one of them (`resumed`).

    `kept` are those that are there, the newest last; `shared_files` the digests of the files beside them that the next
    one needs, too. Of several processes that train together the first one decides, writes and removes; the others write
    what only they know.
    """

    def __init__(self, training: str, folder: RunFolder, resumed: Path | None) -> None:
        self.training, self.folder = training, folder
        self.shared_files = ranks.agreed(lambda: folder.shared_files(resumed))
        self.kept: list[Path] = []
        self._last, self._took = time.monotonic(), 0.0
        if resumed is not None:
            step = step_of(resumed)
            self.kept = [path for before, path in folder.steps().items() if before <= step]
            logger.info("%s: goes on from step %d, a checkpoint in %s", training, step, folder.path)

    def is_time(self, last: bool) -> bool:
        """Tell whether one is due at this boundary; at the last one of a training that took so long, too."""
        if self.folder.seconds == 0 or (last and self.kept):
            return True
        return ranks.agreed(lambda: time.monotonic() - self._last >= max(self.folder.seconds, _REST * self._took))

    def write(self, step: int, fill: Callable[[Path], None]) -> None:
        """Have `fill` write a checkpoint into a folder that is given; then give it its name.

        Where that fails, say so and let the training go on: the one before stays the newest.
        """
        began = time.monotonic()
        place = self.folder.path_of(step)
        part = ranks.agreed(lambda: part_of(place))
        written = part / place.name
        try:
            with ranks.together(*_NOT_WRITTEN):
                written.mkdir(parents=True, exist_ok=True)
                fill(written)
            with ranks.together(*_NOT_WRITTEN):
                if ranks.is_first():
                    self.folder.publish(written, self.shared_files)
            self.kept.append(place)
        except _NOT_WRITTEN as error:
            newest = self.kept[-1].name if self.kept else "none"
            logger.warning(
                "%s: %s could not be written (%s), the newest is still %s; training goes on and tries again: make room "
                "on the disk of %s",
                *(self.training, place.name, error, newest, self.folder.path),
            )
        finally:
            self._remove(part)
        while len(self.kept) > KEPT:
            self._remove(self.kept.pop(0))
        self._last = time.monotonic()
        self._took = self._last - began

    @staticmethod
    def _remove(path: Path) -> None:
        if ranks.is_first():
            remove(path)
