"""`kedro study`: whole chains for several seeds and settings, and what they say together."""

from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

from cai_kedro.hooks.ending import orderly
from cai_kedro.hooks.terminal import prepare_terminal


@click.command()
@click.argument("study")
@click.option("--tables-only", is_flag=True, help="Run nothing; put together what is finished.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Run so many chains at a time, each with its share of the threads.",
)
@click.pass_obj
def study(metadata: ProjectMetadata, study: str, tables_only: bool, processes: int) -> None:
    """Run every setting of STUDY with every seed; write figures over seeds and verdicts on the paper's claims.

    STUDY is a YAML file, or the name of one in conf/base/studies: headline, ablations. Each chain is a `kedro run` in
    a folder of its own below data/studies/STUDY. Given again, the command goes on where it ended: no finished chain
    and no finished stage is run twice. A chain that fails stops no other one; then the exit code is 1.
    """
    prepare_terminal()
    stage: list[str] = []
    with orderly(lambda: stage[0] if stage else None):
        failed = _study(Path(metadata.project_path), study, tables_only, stage, processes)
    if failed:
        raise SystemExit(1)


def _study(project: Path, given: str, tables_only: bool, stage: list[str], processes: int = 1) -> bool:
    from cai_kedro.core.lock import locked  # noqa: PLC0415 - pandas and SciPy come with these
    from cai_kedro.hooks.quiet import quieten  # noqa: PLC0415
    from cai_kedro.studies.chains import chains_of, prepare  # noqa: PLC0415
    from cai_kedro.studies.checks import check_against_project  # noqa: PLC0415
    from cai_kedro.studies.outcome import time_of_all, write_outcome  # noqa: PLC0415
    from cai_kedro.studies.runner import check_free, run_chains  # noqa: PLC0415
    from cai_kedro.studies.study_file import CLAIMS, find_study, read_claims, read_study  # noqa: PLC0415

    quieten()
    file = find_study(given, project)
    plan, claims = read_study(file), read_claims(project / CLAIMS)
    folder = project / "data" / "studies" / file.stem
    chains = chains_of(plan, folder)
    with locked(folder / ".lock", f"the study {file.stem}"):
        failed = []
        if not tables_only:
            check_against_project(plan, project)
            for chain in chains:
                prepare(chain, plan, project)
                check_free(chain)
            stage.append(f"the study {file.stem}")
            failed = run_chains(chains, click.echo, processes)
            if not any(chain.finished for chain in chains):
                click.echo("no chain is finished: nothing is written")
                return True
        for path in write_outcome(folder, plan, chains, claims):
            click.echo(f"written: {path}")
        click.echo(f"all chains took {time_of_all(chains)}")
    return bool(failed)
