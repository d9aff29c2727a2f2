"""Finds what a user names: a policy of this run, and its model, or what to do where either is not there."""

import difflib
from collections.abc import Mapping

from kedro.io import AbstractVersionedDataset, CatalogProtocol

from cai_kedro.core.lineage import Lineage
from cai_kedro.templates.rlhf import arms_with_preference_model


def check_policy(name: str, lineage: Lineage) -> None:
    """Raise `ValueError` for a name that no policy of this run has, with the nearest one and all others."""
    if name in lineage.present:
        return
    if name in lineage.left_out:
        raise ValueError(f"the policy {name!r} is not in this run: {lineage.left_out[name]}")
    near = difflib.get_close_matches(name, lineage.present, n=1)
    meant = f"did you mean {near[0]}? There are" if near else "there are"
    raise ValueError(f"there is no policy {name!r}; {meant} {', '.join(lineage.present)}")


def model_version(model: str, catalog: CatalogProtocol, command: str) -> str:
    """Return the version of a model that is loaded now.

    `model` is its name in the catalog without `@checkpoint`, `command` the user's `kedro run` with its environment.
    Raises `ValueError` with the command that makes the model where it was not made yet.
    """
    name = f"{model}@checkpoint"
    dataset = catalog[name]
    if not catalog.exists(name):
        where = getattr(dataset, "_filepath", "")
        raise ValueError(
            f"{model} was not made yet, there is nothing in {where}; make it, and what comes before it, with "
            f"`{command} --to-outputs={name}`"
        )
    version = dataset.resolve_load_version() if isinstance(dataset, AbstractVersionedDataset) else None
    return str(version or "")


def run_command(env: str | None, params: Mapping[str, object]) -> str:
    """Return the user's `kedro run` with environment and parameters, as it is typed."""
    given = ",".join(f"{name}={value}" for name, value in _flat(params))
    return " ".join(["kedro run", *([f"--env={env}"] if env else []), *([f"--params={given}"] if given else [])])


def _flat(params: Mapping[str, object], above: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for name, value in params.items():
        pairs += _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else [(f"{above}{name}", value)]
    return pairs


def scoring_arm(policy: str, lineage: Lineage) -> str | None:
    """Return the arm whose preference model scores a policy's answers: its own, else the one of the labels."""
    scoring = arms_with_preference_model(lineage)
    return policy if policy in scoring else lineage.scorer(scoring)
