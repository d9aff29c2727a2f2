"""`kedro chat`: a policy, or two of them, in the terminal."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.utils import _split_params, env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.io import CatalogProtocol, DatasetError

from cai_kedro.core.lineage import Lineage
from cai_kedro.hooks import GRAPH
from cai_kedro.hooks.terminal import prepare_terminal


@click.command()
@click.argument("policy")
@click.option("--beside", metavar="OTHER", help="Another policy that answers the same.")
@env_option
@click.option("--params", default="", callback=_split_params, help="Parameters, as `kedro run` takes them.")
@click.option("--temperature", type=click.FloatRange(0), help="Default: that of the evaluation.")
@click.option("--max-new-tokens", type=click.IntRange(1), help="Default: that of the evaluation.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed and words: the same answers.")
@click.pass_obj
def chat(
    metadata: ProjectMetadata, policy: str, beside: str | None, env: str | None, params: dict[str, Any], **options: Any
) -> None:
    """Talk to POLICY; with --beside, to two at a time. Lines may come from a pipe.

    Behind each answer stands the score of the preference model that the policy learned from, in log-odds. /help lists
    the commands; the end of the input ends.
    """
    prepare_terminal()
    project = Path(metadata.project_path)
    with KedroSession.create(project, env=env, runtime_params=params) as session:
        context = cast(KedroSession, session).load_context()
        try:
            _chat(context, [policy, *([beside] if beside else [])], (env, params), options)
        except (DatasetError, ValueError) as error:
            raise click.ClickException(str(error)) from error


def _chat(context: Any, names: list[str], given: tuple[str | None, dict[str, Any]], options: dict[str, Any]) -> None:
    from cai_kedro.delivery.chat import Chat, Speaker  # noqa: PLC0415 - torch and transformers come with these
    from cai_kedro.delivery.policies import check_policy, model_version, run_command, scoring_arm  # noqa: PLC0415
    from cai_kedro.delivery.terminal_chat import COMMANDS, TerminalChat  # noqa: PLC0415
    from cai_kedro.engines.base import Sampling  # noqa: PLC0415
    from cai_kedro.hooks.quiet import quieten  # noqa: PLC0415

    quieten()
    lineage, catalog = GRAPH.lineage, context.catalog
    for name in names:
        check_policy(name, lineage)
    for name in names:
        model_version(lineage.model_of(name), catalog, run_command(*given))
    own = {key: options[key] for key in ("temperature", "max_new_tokens") if options[key] is not None}
    sampling = Sampling.model_validate({**context.config_loader["parameters"]["evaluation"]["sampling"], **own})
    speakers = [Speaker(name, catalog.load(f"{lineage.model_of(name)}@engine")) for name in names]
    arm = scoring_arm(names[0], lineage)
    scorer, told = _scorer(arm, lineage, catalog)
    click.echo(f"{' and '.join(names)}. {told}\n{COMMANDS}\n")
    width = shutil.get_terminal_size().columns if sys.stdin.isatty() and sys.stdout.isatty() else None
    TerminalChat(Chat(speakers, sampling, options["seed"], scorer), _write, width, arm or "").talk(_lines(width))


def _scorer(arm: str | None, lineage: Lineage, catalog: CatalogProtocol) -> tuple[Any, str]:
    """Return the preference model of an arm and what to say about it."""
    if arm is None:
        return None, "No preference model is part of this run, so nothing is scored."
    name = f"{arm}.preference.model@checkpoint"
    if not catalog.exists(name):
        return None, f"The preference model of {arm} was not made yet, so nothing is scored."
    return catalog.load(name), f"Scores: the preference model of {arm}, log-odds{_accuracy(arm, catalog)}."


def _accuracy(arm: str, catalog: CatalogProtocol) -> str:
    name = f"{arm}.preference_metrics"
    if name not in catalog or not catalog.exists(name):
        return ""
    figure = catalog.load(name).get(f"pm_held_out_accuracy.{arm}.all")
    if figure is None:
        return ""
    bounds = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return f" (right on {figure['value']:.2f}{bounds} of {figure['n']} held-out comparisons)"


def _write(text: str) -> None:
    click.echo(text, nl=False)
    sys.stdout.flush()


def _lines(width: int | None) -> Iterator[str]:
    """Yield what is typed, with a prompt where a person types it."""
    while True:
        if width is not None:
            _write("> ")
        line = sys.stdin.readline()
        if not line:
            if width is not None:
                _write("\n")
            return
        yield line
