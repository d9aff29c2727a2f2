"""SIGKILL in the middle of sampling and labelling, the short form of `benchmarks/kill_and_resume.py`."""

from pathlib import Path

import pytest
from benchmarks.kill_and_resume import (
    ENV,
    PARAMS,
    TABLES,
    Kill,
    digests,
    finished_rows,
    reused_rows,
    run_and_kill,
    without_results,
)

from tests.project_copy import copy_project, kedro_run
from tests.small_disk import BOTH, NAMES, can_mount, run_on_a_small_disk

pytestmark = pytest.mark.slow

ROOM = 300_000  # bytes: some of the shards, not all


def run(project: Path) -> str:
    done = kedro_run(project, f"--env={ENV}", f"--pipelines={BOTH}", PARAMS)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def uninterrupted(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = without_results(finished_run, tmp_path_factory.mktemp("uninterrupted") / "project", NAMES)
    run(project)
    return project


def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(uninterrupted: Path, tmp_path: Path) -> None:
    project = without_results(uninterrupted, tmp_path / "project", NAMES)
    assert run_and_kill(project, BOTH, Kill(rename=9, after=True))  # a shard's file has its name, its manifest not yet
    first = finished_rows(project, NAMES)
    assert run_and_kill(project, BOTH, Kill(rename=31, after=False))
    second = finished_rows(project, NAMES)
    assert 0 < sum(first.values()) < sum(second.values())
    terminal = run(project)
    assert "there is no manifest beside it" not in terminal  # that shard was made again by the second run
    assert reused_rows(terminal) == second
    assert digests(project, NAMES) == digests(uninterrupted, NAMES)


def test_a_run_on_finished_shards_asks_no_model(uninterrupted: Path) -> None:
    wanted = digests(uninterrupted, NAMES)
    terminal = run(uninterrupted)
    assert reused_rows(terminal) == finished_rows(uninterrupted, NAMES)
    assert digests(uninterrupted, NAMES) == wanted


def make_up_questions(project: Path) -> str:
    """Run stage 1 of SELF-ALIGN on the pretrained model; whichever of them has been done is done again."""
    stages = ("--pipelines=base_model,self_align", "--namespaces=base_model,self_instruct")
    done = kedro_run(project, f"--env={ENV}", *stages, PARAMS)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_questions_are_the_same_after_kills(tmp_path: Path) -> None:
    """In several kinds of lists; what is picked out of them follows."""
    lists = TABLES["self_align"]
    tables = (*lists, "self_align_topics", "self_align_questions", "self_align_filtered", "self_align_counts")
    reference = copy_project(tmp_path / "reference")
    make_up_questions(reference)
    project = without_results(reference, tmp_path / "project", tables)
    finished = []
    for kill in (Kill(rename=2, after=False), Kill(rename=7, after=True), Kill(rename=12, after=False)):
        assert run_and_kill(project, "self_align", kill, "--namespaces=self_instruct")
        finished.append(sum(finished_rows(project, lists).values()))
    assert finished[0] < finished[1] < finished[2]
    kept = finished_rows(project, lists)
    assert reused_rows(make_up_questions(project)) == kept
    assert digests(project, tables) == digests(reference, tables)


def align(project: Path, *stages: str) -> str:
    """Run stages of SELF-ALIGN on what was made before."""
    named = ("--pipelines=base_model,self_align", f"--namespaces={','.join(stages)}")
    done = kedro_run(project, f"--env={ENV}", *named, PARAMS)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def adapters(project: Path) -> list[bytes]:
    """Return the bytes of the newest adapter of each model of SELF-ALIGN."""
    folders = [project / "data" / ENV / "06_models" / f"self_align_{name}" for name in ("engraved", "verbose")]
    return [sorted(folder.glob("**/adapter_model.safetensors"))[-1].read_bytes() for folder in folders]


def test_answers_and_models_of_self_align_are_the_same_after_kills(tmp_path: Path) -> None:
    """Stages 2 to 4; a rule that is changed then makes their answers anew, and no question of stage 1."""
    sampled = ("self_align_answers", "self_align_verbose_answers")
    rows = ("self_align_checked_answers", "self_align_engraving_rows", "self_align_cloning_rows")
    stages = ("self_alignment", "engraving", "cloning")
    reference = copy_project(tmp_path / "reference")
    align(reference, "base_model", "self_instruct", *stages)
    project = without_results(reference, tmp_path / "project", (*sampled, *rows))
    for kill in (Kill(rename=3, after=False), Kill(rename=8, after=True)):
        assert run_and_kill(project, "self_align", kill, f"--namespaces={','.join(stages)}")
    kept = finished_rows(project, sampled[:1])
    assert reused_rows(align(project, *stages))[sampled[0]] == kept[sampled[0]] > 0
    assert digests(project, (*sampled, *rows)) == digests(reference, (*sampled, *rows))
    assert adapters(project) == adapters(reference)
    rules = project / "conf" / "base" / "self_align" / "micro_world" / "rules.yml"
    rules.write_text(rules.read_text().replace("Refuse what harms", "Refuse all that harms"))
    reused = reused_rows(align(project, "self_instruct", "self_alignment"))
    assert reused[sampled[0]] == 0
    assert min(reused[name] for name in TABLES["self_align"]) > 0


@pytest.mark.skipif(not can_mount(), reason="no mount namespaces here (unshare)")
def test_a_full_disk_is_told_in_one_sentence_and_loses_nothing(uninterrupted: Path, tmp_path: Path) -> None:
    project = without_results(uninterrupted, tmp_path / "project", NAMES)
    seen = run_on_a_small_disk(project, room=ROOM)
    assert seen.first_status == 1
    assert f"there is no room on the disk for {project}/data/{ENV}/" in seen.first_terminal
    assert not seen.halves
    assert sum(seen.finished.values()) > 0
    assert seen.second_status == 0, seen.second_terminal[-3000:]
    assert reused_rows(seen.second_terminal) == seen.finished
    assert seen.digests == digests(uninterrupted, NAMES)
