"""Collects what a model card tells: from the run's record where there is one, else from the project as it is."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractVersionedDataset, CatalogProtocol, DatasetError
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.core.lineage import BASE_MODEL, CLONING, ENGRAVING, Lineage
from cai_kedro.delivery.model_card import CardFacts, InputFile
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.machine import machine_line
from cai_kedro.engines.model_reference import REFERENCE_FILE, ModelReference
from cai_kedro.metrics.over_optimisation import is_untrained, keeps_start
from cai_kedro.reporting.summary import referee_lines, render_summary
from cai_kedro.templates.rlhf import arms_with_preference_model

SUMMARY, REFEREE, NOT_MEASURED = "policy_summary", "referee_metrics", "not_measured"
CONSTITUTION, MACHINE = "constitution", "machine"


def card_facts(  # noqa: PLR0913 - everything that a card is about
    policy: str,
    version: str,
    lm: LanguageModel,
    *,
    lineage: Lineage,
    catalog: CatalogProtocol,
    graph: Pipeline,
    parameters: Mapping[str, Any],
    sampling: Sampling,
    project: Path,
    env: str,
    tags: Mapping[str, str] | None,
) -> CardFacts:
    """Return the facts of a policy's model, loaded as `lm`, before it is rounded.

    `graph`: the whole pipeline. `tags`: those of the MLflow run that saved this version, None where there is none.
    """
    constitution = catalog.load(CONSTITUTION)
    known = tags or {}
    sha256 = known.get(f"{CONSTITUTION}.sha256", constitution.sha256)
    titles = [p.title for p in (*constitution.critique_principles, *constitution.preference_principles)]
    made_by = graph.to_outputs(f"{lineage.model_of(policy)}@checkpoint")
    table, no_table = _end_table(catalog, version)
    trained, kept = _trained(policy, lineage, catalog)
    return CardFacts(
        policy=policy,
        env=env,
        made=version,
        how=_how(trained, lineage),
        kept=kept,
        origin=_origin(trained, lineage, catalog, parameters["base_model"]),
        parameters=lm.model.num_parameters(),
        weights_sha256=catalog.load(f"{lineage.model_of(policy)}@digest"),
        layout=lm.layout.kind,
        stops=lm.layout.stops(Reply((user(""),))),
        ends=[str(lm.tokenizer.convert_ids_to_tokens(i)) for i in eos_ids(lm)],
        sampling=f"temperature {sampling.temperature}, top_p {sampling.top_p}, {sampling.max_new_tokens} new tokens",
        constitution_sha256=sha256,
        principles=titles if sha256 == constitution.sha256 else [],
        seed=known.get("seed", "" if known else str(parameters.get("seed", ""))),
        machine=known.get(MACHINE, "" if known else machine_line(catalog.load(MACHINE))),
        command=known.get("mlflow.source.name", ""),
        commit=known.get("mlflow.source.git.commit", ""),
        recorded=tags is not None,
        files=list(_files(graph, catalog, project)),
        versions=_versions(known, made_by),
        table=table,
        no_table=no_table,
    )


def _trained(policy: str, lineage: Lineage, catalog: CatalogProtocol) -> tuple[str, str]:
    """Return the policy whose model this one has, another one where an arm kept its start policy, and why it did."""
    name = lineage.stands_for(policy)
    sentences = []
    while name in lineage.starts and (choice := _choice(name, catalog)) is not None and keeps_start(choice):
        start = lineage.starts[name]
        why = (
            "its preference model did not pass the gate (`rlhf.gate`), so there was no RL"
            if is_untrained(choice)
            else "its training brought no clearly better policy"
        )
        sentences.append(f"`{name}` is `{start}` as it was: {why}.")
        name = start
    return name, " ".join(sentences)


def _choice(policy: str, catalog: CatalogProtocol) -> pd.DataFrame | None:
    """Return the table of which snapshot of a policy is kept, None where there is none."""
    name = f"{policy}.snapshot_choice"
    return catalog.load(name) if name in catalog and catalog.exists(name) else None


def _how(policy: str, lineage: Lineage) -> str:
    """Return how the run trained a policy, nothing for one that it did not train."""
    name = lineage.stands_for(policy)
    entry = lineage.present[name]
    if entry.given is not None:
        return ""
    if name == lineage.supervised:
        return f"It was fine-tuned from `{entry.start}` on revised answers (§3 of the paper)."
    if entry.algorithm in (ENGRAVING, CLONING):
        told = {
            ENGRAVING: "answers that the pretrained model gave under rules, without the rules (SELF-ALIGN, stage 3)",
            CLONING: "verbose answers of the engraved model, without the prompt for them (SELF-ALIGN, stage 4)",
        }
        return f"It was fine-tuned from `{entry.start}` on {told[entry.algorithm]}."
    if name in lineage.judged:
        return (
            f"It was trained from `{entry.start}` by {lineage.algorithm_of(name)} (§4), with the labeller's judgement "
            f"of each reply as the reward; no preference model took part."
        )
    sources = ", ".join(f"`{source}`" for source in lineage.sources_of(name))
    if name not in arms_with_preference_model(lineage):
        return (
            f"It was trained from `{entry.start}` by {lineage.algorithm_of(name)}, directly on the comparisons "
            f"{sources}; no preference model took part."
        )
    return (
        f"It was trained from `{entry.start}` by reinforcement learning against a preference model (§4), "
        f"which learned from the comparisons {sources}."
    )


def _origin(policy: str, lineage: Lineage, catalog: CatalogProtocol, base_model: Mapping[str, Any]) -> str:
    """Return where a given policy's model is from, and of a trained one the pretrained model's."""
    given = lineage.present[lineage.stands_for(policy)].given
    model, file = lineage.model_of(policy), str(given)
    if given is None or given == BASE_MODEL:
        model, file = lineage.model_of(lineage.base), str(base_model.get("gguf"))
        if base_model["source"] == "shipped":
            return "the micro LM that comes with `cai_kedro`, which knows an invented language and nothing of the world"
    if file.endswith(".gguf"):  # its weights were de-quantised into the run's own directory
        return f"that of the GGUF file `{_last(file)}`"
    dataset: Any = catalog[f"{model}@checkpoint"]
    try:
        text = (Path(dataset._get_load_path()) / REFERENCE_FILE).read_text(encoding="utf-8")
        reference = ModelReference.model_validate_json(text)
    except (OSError, ValueError, DatasetError):
        return f"one that the run made itself (`base_model.source: {base_model['source']}`)"
    if reference.repo:
        return f"`{reference.repo}` at commit `{reference.revision}`"
    return f"that of the directory `{_last(str(reference.path))}`"


def _last(path: str) -> str:
    """Return the last part of a path; the rest is nobody's business."""
    return Path(path).name


def _end_table(catalog: CatalogProtocol, version: str) -> tuple[str, str]:
    """Return what a run's end shows of the policies, and else why there is nothing."""
    again = "`kedro run --pipelines=evaluation,reporting` measures it; then export again."
    if SUMMARY not in catalog or not catalog.exists(SUMMARY):
        return "", f"Not measured: the run was not evaluated. {again}"
    if _is_older(catalog, SUMMARY, version):
        return "", f"Not measured: the last evaluation is older than this model. {again}"
    parts = [render_summary(catalog.load(SUMMARY))]
    for name, lines in (
        (REFEREE, referee_lines),
        (NOT_MEASURED, lambda table: [f"not measured: {line}" for line in table["line"]]),
    ):
        if name in catalog and catalog.exists(name) and not _is_older(catalog, name, version):
            parts.append("\n".join(lines(catalog.load(name))))
    return "\n\n".join(part for part in parts if part), ""


def _is_older(catalog: CatalogProtocol, name: str, version: str) -> bool:
    """Tell whether a table was made before a model; versions are times, so they are in order."""
    dataset = catalog[name]
    own = dataset.resolve_load_version() if isinstance(dataset, AbstractVersionedDataset) else None
    return bool(own and version) and str(own) < version


def _files(graph: Pipeline, catalog: CatalogProtocol, project: Path) -> Iterator[InputFile]:
    for name in sorted(graph.inputs()):
        place = None if is_parameter(name) else getattr(catalog[name], "_filepath", None)
        path = Path(str(place)) if place else None
        if path is not None and path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            shown = path.relative_to(project) if path.is_relative_to(project) else Path(path.name)
            yield InputFile(name, str(shown), digest)


def _versions(tags: Mapping[str, str], made_by: Pipeline) -> dict[str, list[str]]:
    """Return version → tables and models of it, newest first, for what a model was made of."""
    names = {name.partition("@")[0] for name in made_by.datasets() if not is_parameter(name)}
    versions: dict[str, set[str]] = {}
    for tag, version in tags.items():
        verb, _, name = tag.partition(".")
        if verb in ("loaded", "saved") and name in names:
            versions.setdefault(version, set()).add(name)
    return {version: sorted(versions[version]) for version in sorted(versions, reverse=True)}
