"""The command `cai-kedro`, for whoever installed the package and has no project yet."""

from pathlib import Path

import click

from cai_kedro import __version__
from cai_kedro.starter.project import make_project

NEXT = """{folder} is a project now. What next:

  cd {folder}
  kedro run --env=smoke   every stage with next to nothing: does it run? A minute or two
  kedro run               the whole method on the micro world
  kedro run --env=hub --params=model=<directory, .gguf file or organisation/name@revision>
                          the same on a chat model of yours
  kedro estimate          what a run would cost

README.md there says what the folders hold and how to give a model, prompts and principles of your own."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", "-V")
def cli() -> None:
    """Constitutional AI as a Kedro project. Inside a project, `kedro` has the commands."""


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project: FOLDER gets conf, prompts, guides and a README. It must be new or empty."""
    try:
        make_project(folder)
    except ValueError as error:
        raise click.ClickException(f"nothing was made: {error}") from error
    except OSError as error:
        raise click.ClickException(
            f"the project was not made: {error}"
            + (f"; remove {folder} before you try again" if folder.exists() else "")
        ) from error
    click.echo(NEXT.format(folder=folder))


def main() -> None:
    """Run the command line."""
    cli(prog_name="cai-kedro")
