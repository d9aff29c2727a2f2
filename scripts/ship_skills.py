"""Put the adapter that `kedro run --pipelines=teach_skills` made last into the package: `--env=english` by default.

`--params` is that of the training, if it had some: the fingerprint names them.
"""

import sys
from importlib.metadata import version
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from omegaconf import OmegaConf

from cai_kedro.englishworld.shipped import ship

PROJECT = Path(__file__).parents[1]


def main(env: str = "english", params: str = "") -> None:
    """Ship the newest adapter of an environment, trained with these `--params`."""
    bootstrap_project(PROJECT)
    changed = OmegaConf.to_container(OmegaConf.from_dotlist(params.split(",") if params else []))
    context = KedroSession.create(PROJECT, env=env, runtime_params=changed).load_context()
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
    main(**dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:]))
