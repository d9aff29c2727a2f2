"""SIGKILL in every stage of SELF-ALIGN that samples: the same bytes after the rerun, and no finished shard made again.

Trainings of the other stages are killed by `tests/learning/test_resumable.py`.
"""

import random
from pathlib import Path

import pytest

from tests.pipelines.self_align.kill_sampling import STAGES, run_stage

KILLS = 5


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_killed_ends_in_the_same_bytes(stage: str, tmp_path: Path) -> None:
    wanted = run_stage(stage, tmp_path / "straight")
    assert wanted is not None
    moments = random.Random(stage).sample(range(1, wanted.moments + 1), KILLS)
    reused = []
    for moment in moments:
        folder = tmp_path / str(moment)
        assert run_stage(stage, folder, kill_at=moment) is None
        finished = len([*folder.glob("shards/**/*.json")])
        ended = run_stage(stage, folder)
        assert ended is not None
        assert ended.content == wanted.content, f"killed at moment {moment} of {wanted.moments}"
        assert (ended.prompts < wanted.prompts) == (finished > 0)
        reused.append(finished)
    assert max(reused) > 0
