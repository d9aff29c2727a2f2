"""Put the adapter that `kedro run --pipelines=teach_skills` made last into the package: `--env=english` by default."""

import sys
from importlib.metadata import version
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from cai_kedro.englishworld.shipped import ship

PROJECT = Path(__file__).parents[1]
_ENV = "--env="


def main(env: str) -> None:
    """Ship the newest adapter of an environment."""
    bootstrap_project(PROJECT)
    context = KedroSession.create(PROJECT, env=env).load_context()
    catalog, parameters = context.catalog, context.config_loader["parameters"]
    place = ship(
        Path(catalog["taught.model@checkpoint"]._get_load_path()),
        catalog.load("taught.training_curves"),
        catalog.load("taught.skills"),
        parameters["teach_skills"],
        int(parameters["seed"]),
        base_of(parameters["base_model"]),
    )
    print(f"{place} has the adapter")


def base_of(base_model: dict[str, str | None]) -> str:
    """Name the model with the version of the package that it comes in, if it does."""
    given = base_model["gguf"] or base_model["repo"] or base_model["path"] or base_model["source"] or ""
    package, colon, file = given.partition(":")
    if not colon:
        return given if base_model["revision"] is None else f"{given}@{base_model['revision']}"
    return f"{file} of {package.replace('_', '-')}=={version(package)}"


if __name__ == "__main__":
    given = [word.removeprefix(_ENV) for word in sys.argv[1:] if word.startswith(_ENV)]
    main(given[0] if given else "english")
