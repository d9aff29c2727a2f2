"""Commands of this project: `run` with an orderly end, `study`, `estimate`, `check-labeller`, `export` and `chat`."""

import gc
import logging
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS, _split_params, env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.io import DataCatalog, DatasetError

from cai_kedro.cli.chat import chat
from cai_kedro.cli.export import export
from cai_kedro.cli.study import study
from cai_kedro.hooks import RUN_STATUS
from cai_kedro.hooks.ending import orderly
from cai_kedro.hooks.terminal import prepare_terminal
from cai_kedro.planning.planned import PLANNED


@click.group(context_settings=CONTEXT_SETTINGS, name=__file__)
def cli() -> None:
    """Commands of this project."""


class _Run(click.Command):
    """Kedro's command; what ends it early is told in a line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run.

        Nothing that is imported on the way to the first stage is garbage, so the collector waits until then
        (`hooks/memory.py`): it would look through all of it a dozen times.
        """
        gc.disable()
        try:
            with orderly(lambda: RUN_STATUS.stage):
                return super().invoke(ctx)
        finally:
            gc.enable()  # where no stage was reached


#: `python -m cai_kedro` looks for it here.
run = _Run(
    name="run",
    context_settings=CONTEXT_SETTINGS,
    callback=kedro_run.callback,
    params=kedro_run.params,
    help=kedro_run.help,
    short_help=kedro_run.short_help,
)
for command in (run, study, export, chat):
    cli.add_command(command)


def _planned(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in PLANNED]
    if unknown or not names:
        wrong = unknown[0] if unknown else value
        raise click.BadParameter(f"{wrong!r} is not planned; give one or more of {', '.join(PLANNED)}")
    return names


@cli.command()
@env_option
@click.option("--params", default="", callback=_split_params, help="Parameters, as `kedro run` takes them.")
@click.option("--dry-run", is_flag=True, help="Show one prompt of each kind and principle, and stop; needs no model.")
@click.option(
    "--pipelines",
    default=PLANNED[0],
    show_default=True,
    callback=_planned,
    help=f"What is planned, separated by commas: {', '.join(PLANNED)}.",
)
@click.option("--prompts", default=16, show_default=True, type=click.IntRange(2), help="Prompts a stage to time.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(2), help="How often.")
@click.option("--without-training", is_flag=True, help="Time only what asks an engine.")
@click.option("--price-prompt", type=click.FloatRange(0), help="Money for a million prompt tokens.")
@click.option("--price-cached", type=click.FloatRange(0), help="The same for shared ones; default: --price-prompt.")
@click.option("--price-written", type=click.FloatRange(0), help="Money for a million written tokens.")
@click.option("--currency", default="", help="What the prices are in.")
@click.pass_obj
def estimate(metadata: ProjectMetadata, env: str | None, params: dict[str, Any], **options: Any) -> None:
    """Time a few rows of every stage; print calls, tokens, hours, disk and money of this run and of the paper's.

    --pipelines names what `kedro run --pipelines` would run. Of SELF-ALIGN and teaching there is no plan of a paper's.

    Nothing is stored. Every stage is timed on the engine that it is configured with; a model that was not made yet is
    replaced by the pretrained one.
    """
    if (options["price_prompt"] is None) != (options["price_written"] is None):
        raise click.UsageError("give both --price-prompt and --price-written, or neither")
    prepare_terminal()
    project = Path(metadata.project_path)
    with KedroSession.create(project, env=env, runtime_params=params) as session:
        context = cast(KedroSession, session).load_context()
        try:
            _estimate(cast(DataCatalog, context.catalog), context.params, options)
        except (DatasetError, ValueError, RuntimeError) as error:
            raise click.ClickException(f"nothing was estimated: {error}") from error


def _estimate(catalog: DataCatalog, parameters: dict[str, Any], options: dict[str, Any]) -> None:
    from cai_kedro.hooks.quiet import quieten  # noqa: PLC0415 - torch and transformers come with these
    from cai_kedro.planning.inputs import settings_of  # noqa: PLC0415
    from cai_kedro.planning.preview import previews  # noqa: PLC0415
    from cai_kedro.planning.project import layout_to_show, material_of  # noqa: PLC0415
    from cai_kedro.planning.report import report  # noqa: PLC0415

    quieten()
    logging.getLogger("cai_kedro").setLevel(logging.WARNING)  # the stages are only tried
    settings, material = settings_of(parameters), material_of(catalog)
    if options["dry_run"]:
        for title, prompt in previews(settings, material, layout_to_show(parameters)):
            click.echo(f"{click.style(f'── {title} ', bold=True)}\n{prompt}\n")
        return
    for line in report(catalog, parameters, settings, material, options):
        click.echo(line)


@cli.command("check-labeller")
@env_option
@click.option("--params", default="", callback=_split_params, help="Parameters, as `kedro run` takes them.")
@click.pass_obj
def check_labeller(metadata: ProjectMetadata, env: str | None, params: dict[str, Any]) -> None:
    """Ask the labeller and the critic 120 clear pairs of English answers; say whether they can do their work.

    Nothing is stored. A policy that was not trained yet is replaced by the pretrained model. Ends with exit code 1 if
    one of them is below the bar of the parameters `check_labeller`.
    """
    prepare_terminal()
    with KedroSession.create(Path(metadata.project_path), env=env, runtime_params=params) as session:
        context = cast(KedroSession, session).load_context()
        try:
            passed = _check_roles(cast(DataCatalog, context.catalog), context.params)
        except (DatasetError, ValueError, RuntimeError) as error:
            raise click.ClickException(f"nothing was checked: {error}") from error
    if not passed:
        raise SystemExit(1)


def _check_roles(catalog: DataCatalog, parameters: dict[str, Any]) -> bool:
    from cai_kedro.hooks.quiet import quieten  # noqa: PLC0415 - torch and transformers come with these
    from cai_kedro.planning.role_check import check_roles  # noqa: PLC0415

    quieten()
    logging.getLogger("cai_kedro").setLevel(logging.WARNING)  # the figures are told here
    return check_roles(catalog, parameters, click.echo)
