"""`kedro export`: a policy as a directory that other programs read."""

import logging
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.utils import _split_params, env_option
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.io import DatasetError

from cai_kedro.core.folders import empty_folder
from cai_kedro.hooks import GRAPH
from cai_kedro.hooks.terminal import prepare_terminal

logger = logging.getLogger(__name__)


@click.command()
@click.argument("policy")
@click.argument("directory", type=click.Path(path_type=Path))
@env_option
@click.option("--params", default="", callback=_split_params, help="Parameters, as `kedro run` takes them.")
@click.option("--mlflow/--no-mlflow", default=True, show_default=True, help="Register the model in MLflow too.")
@click.pass_obj
def export(
    metadata: ProjectMetadata, policy: str, directory: Path, env: str | None, params: dict[str, Any], mlflow: bool
) -> None:
    """Write POLICY into DIRECTORY, as Hugging Face's programs and chat servers read a model, with a model card.

    The directory must be new or empty. The newest version of the policy in this environment is taken.
    """
    prepare_terminal()
    project = Path(metadata.project_path)
    with KedroSession.create(project, env=env, runtime_params=params) as session:
        context = cast(KedroSession, session).load_context()
        try:
            target = empty_folder(directory)
            address = _export(context, policy, target, (env, params), mlflow)
        except (DatasetError, ValueError, OSError) as error:
            raise click.ClickException(f"nothing was exported: {error}") from error
    click.echo(f"{policy} is in {target}; README.md there is its model card")
    if address:
        click.echo(f"in MLflow it is {address}")


def _export(context: Any, policy: str, target: Path, given: tuple[str | None, dict[str, Any]], mlflow: bool) -> str:
    from cai_kedro.delivery.facts import card_facts  # noqa: PLC0415 - torch and transformers come with these
    from cai_kedro.delivery.model_card import model_card  # noqa: PLC0415
    from cai_kedro.delivery.model_directory import write_model_directory  # noqa: PLC0415
    from cai_kedro.delivery.policies import check_policy, model_version, run_command  # noqa: PLC0415
    from cai_kedro.engines.base import Sampling  # noqa: PLC0415
    from cai_kedro.hooks.model_registry import recorded_run  # noqa: PLC0415
    from cai_kedro.hooks.quiet import quieten  # noqa: PLC0415

    quieten()
    lineage, catalog = GRAPH.lineage, context.catalog
    env = context.env or "base"
    check_policy(policy, lineage)
    model = lineage.model_of(policy)
    version = model_version(model, catalog, run_command(*given))
    lm = catalog.load(f"{model}@checkpoint")
    parameters = context.config_loader["parameters"]
    sampling = Sampling.model_validate(parameters["evaluation"]["sampling"])
    run = recorded_run(context.mlflow, model, version)
    facts = card_facts(
        policy,
        version,
        lm,
        lineage=lineage,
        catalog=catalog,
        graph=pipelines["__default__"],
        parameters=parameters,
        sampling=sampling,
        project=Path(context.project_path),
        env=env,
        tags=run.tags if run else None,
    )
    write_model_directory(lm, target, sampling)
    (target / "README.md").write_text(model_card(facts), encoding="utf-8")
    return _registered(context, policy, target, env, run.id if run else None, version) if mlflow else ""


def _registered(context: Any, policy: str, target: Path, env: str, run_id: str | None, version: str) -> str:
    from cai_kedro.hooks.model_registry import register  # noqa: PLC0415
    from cai_kedro.hooks.tracking import first_line  # noqa: PLC0415

    try:
        return register(
            context.mlflow,
            Path(context.project_path),
            target,
            policy=policy,
            alias=env,
            run_id=run_id,
            tags={"env": env, "version": version},
        )
    except Exception as error:  # MLflow, SQLAlchemy, sqlite3 and requests raise their own; the directory is there
        logger.warning("MLflow did not take the model: %s", first_line(error))
        return ""
