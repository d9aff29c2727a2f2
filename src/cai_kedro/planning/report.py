"""The lines that `kedro estimate` prints."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import click
import torch
from kedro.io import DataCatalog

from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.machine import memory_of
from cai_kedro.engines.model_shape import shape_of
from cai_kedro.metrics.workload import Cost, Effort, Load, Prices, Sizes, load_of, model_bytes, total_of
from cai_kedro.models.adapters import AdapterParams
from cai_kedro.planning.inputs import Material, Settings, configured_sizes, sizes_of_paper
from cai_kedro.planning.planned import METHOD, SELF_ALIGN, TEACHING
from cai_kedro.planning.project import Models, engines_of, models_of, untaught_of
from cai_kedro.planning.self_align import SelfAlignTrial, self_align_material, self_align_settings
from cai_kedro.planning.teaching import TeachingTrial, teaching_material, teaching_settings
from cai_kedro.planning.training_trial import training_costs
from cai_kedro.planning.trial import Trial
from cai_kedro.planning.two_methods import (
    effort_of,
    labels_behind,
    lines_of_cai,
    lines_of_self_align,
    starts_of_self_align,
)
from cai_kedro.reporting.plan import render_efforts, render_memory, render_plan
from cai_kedro.templates.memory import BILLION, adapter_of, engine_memory, memory_faults, needs_of


def report(
    catalog: DataCatalog,
    parameters: Mapping[str, Any],
    settings: Settings,
    material: Material,
    options: Mapping[str, Any],
) -> Iterator[str]:
    """Time a few rows of the pipelines that are asked for and give their plans; that of the method for the paper, too.

    SELF-ALIGN is planned with the method where the lineage has a policy of it.
    """
    threads = parameters.get("threads") or os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(int(threads) if threads else len(os.sched_getaffinity(0)))
    lineage, asked = settings.lineage, {*options["pipelines"]}
    if METHOD in asked and {*lineage.self_aligned.values()} & {*lineage.present}:
        asked.add(SELF_ALIGN)
    models = models_of(catalog, parameters, lineage)
    lm = models.load()
    shape = shape_of(lm.model.config)
    needs = list(needs_of(parameters, shape, on_request=SELF_ALIGN in asked))
    engines = [engine_memory(engine, shape) for engine in engines_of(catalog, lineage)]
    yield f"Memory of each training and engine at its peak, {shape.parameters / BILLION:.3g}B parameters\n"
    yield render_memory([*(need.memory for need in needs), *(each for each in engines if each)])
    if faults := list(memory_faults(parameters, shape, memory_of, {need.node for need in needs})):
        raise ValueError("; ".join(faults))
    plans: list[Iterator[Plan]] = []
    if METHOD in asked:
        plans.append(_of_method(settings, material, models, lm, options))
    if SELF_ALIGN in asked:
        sizes = configured_sizes(settings, material)
        plans.append(_of_self_align(catalog, parameters, sizes, models, lm, options))
    if TEACHING in asked:
        plans.append(_of_teaching(catalog, parameters, lineage, lm, options))
    efforts = []
    for plan in chain.from_iterable(plans):
        yield f"\n{plan.title}\n"
        yield _rendered(plan, options)
        efforts += [plan.effort] if plan.effort else []
    if efforts:
        yield "\nWhat a method asks of people, and of models\n"
        yield render_efforts(efforts)
    yield ""
    yield from _notes(models.stand_ins, options, asked)


@dataclass(frozen=True)
class Plan:
    """What one pipeline will cost: its stages, the bytes of the models that it keeps, what its method asks for."""

    title: str
    loads: Mapping[str, Load]
    models: int
    effort: Effort | None = None


def _of_method(
    settings: Settings, material: Material, models: Models, lm: LanguageModel, options: Mapping[str, Any]
) -> Iterator[Plan]:
    trial = Trial(settings, material, models.engines, lm.tokenizer, options["prompts"], options["repeats"])
    costs, pairs = trial.costs(_tell)
    if not options["without_training"]:
        costs |= training_costs(settings, pairs, material.red_team, models.load, options["repeats"], _tell)
    sizes = configured_sizes(settings, material)
    labels = labels_behind([settings.lineage.headline], settings.lineage, sizes)
    loads = _loads(costs, sizes.units())
    effort = effort_of("Constitutional AI", lines_of_cai(material), labels, loads)
    yield Plan("This run", loads, _bytes_of(lm, sizes), effort)
    of_paper = sizes_of_paper(settings, sizes)
    title = "With the numbers of rows of the paper, all else as in this run"
    yield Plan(title, _loads(costs, of_paper.units()), _bytes_of(lm, of_paper))


def _bytes_of(lm: LanguageModel, sizes: Sizes) -> int:
    return model_bytes(lm.model.num_parameters(), sizes.checkpoints, sizes.snapshots)


def _of_self_align(
    catalog: DataCatalog,
    parameters: Mapping[str, Any],
    sizes: Sizes,
    models: Models,
    lm: LanguageModel,
    options: Mapping[str, Any],
) -> Iterator[Plan]:
    lineage = Lineage.model_validate(parameters["lineage"])
    settings, material = self_align_settings(parameters, lineage), self_align_material(catalog)
    trial = SelfAlignTrial(
        settings,
        material,
        models.engines["base"],
        lm.tokenizer,
        options["prompts"],
        options["repeats"],
    )
    costs = trial.costs(_tell)
    if not options["without_training"]:
        _tell("timing the trainings of SELF-ALIGN")
        costs |= trial.training_costs(models.load)
    kept = sum(
        _kept_bytes(lm, params.training)
        for stage, params in ((ENGRAVING, settings.engraving), (CLONING, settings.cloning))
        if stage in settings.trained
    )
    loads = _loads(costs, trial.units())
    labels = labels_behind(starts_of_self_align(lineage), lineage, sizes)
    effort = effort_of("SELF-ALIGN", lines_of_self_align(material), labels, loads)
    yield Plan("SELF-ALIGN (kedro run --pipelines=self_align)", loads, kept, effort)


def _of_teaching(
    catalog: DataCatalog,
    parameters: Mapping[str, Any],
    lineage: Lineage,
    lm: LanguageModel,
    options: Mapping[str, Any],
) -> Iterator[Plan]:
    settings = teaching_settings(parameters)
    engine, load = untaught_of(catalog, parameters, lineage)
    material = teaching_material(catalog)
    trial = TeachingTrial(settings, material, engine, lm.tokenizer, options["prompts"], options["repeats"])
    costs = trial.costs(_tell)
    if not options["without_training"]:
        _tell("timing the lessons")
        costs |= trial.training_costs(load)
    models = 2 + settings.looks[1]  # the taught one, the last snapshot and those between
    kept = models * _kept_bytes(lm, settings.teaching.training)
    yield Plan("Teaching (kedro run --pipelines=teach_skills)", _loads(costs, trial.units()), kept)


def _kept_bytes(lm: LanguageModel, training: AdapterParams) -> int:
    """Return the bytes of a model that a training keeps, in 32 bits: all of it, or its adapter alone."""
    adapter = adapter_of(training, shape_of(lm.model.config))
    return model_bytes(lm.model.num_parameters() if adapter is None else adapter.weights, 1, 0)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _loads(costs: Mapping[str, Cost], units: Mapping[str, int]) -> dict[str, Load]:
    return {stage: load_of(costs[stage], rows) for stage, rows in units.items() if rows and stage in costs}


def _rendered(plan: Plan, options: Mapping[str, Any]) -> str:
    prices, currency = prices_of(options), options["currency"]
    return render_plan(plan.loads, total_of(plan.loads), models=plan.models, prices=prices, currency=currency)


def prices_of(options: Mapping[str, Any]) -> Prices | None:
    """Return the prices that were given, None if there are none; cached tokens cost what others do, if not said."""
    if options["price_prompt"] is None:
        return None
    cached = options["price_cached"]
    prompt = options["price_prompt"]
    return Prices(prompt=prompt, cached=prompt if cached is None else cached, written=options["price_written"])


def _notes(stand_ins: tuple[str, ...], options: Mapping[str, Any], asked: Collection[str]) -> Iterator[str]:
    yield (
        f"Hours: means of {options['repeats']} trials of {options['prompts']} prompts a stage, 95 % intervals. "
        f"Larger batches are faster a row: see --prompts."
    )
    if stand_ins and METHOD in asked:
        yield f"Not made yet, the pretrained model was timed in their place: {', '.join(stand_ins)}."
    if SELF_ALIGN in asked:
        yield (
            "SELF-ALIGN: the base model was timed in the place of the engraved one. A list gives as many questions as "
            "in the trials; doubles among more lists, and answers with a fault, are not taken off."
        )
    if METHOD in asked or SELF_ALIGN in asked:
        yield (
            "Lines are those that people write: constitution and given prompts; seed tasks, types of questions, rules "
            "and worked examples. Labels are comparisons by people behind the headline of the lineage. Ablations, "
            "labels after thoughts and the evaluation are left out there."
        )
    if TEACHING in asked:
        yield "Teaching: the untaught model was timed in the place of the taught one; lessons that are too long count."
    if options["without_training"]:
        yield "Without the time of trainings."
    yield "Not in it: loading of models, judging, people. Tokens of trainings are not counted."
