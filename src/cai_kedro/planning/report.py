"""The lines that `kedro estimate` prints."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click
import torch
from kedro.io import DataCatalog

from cai_kedro.engines.machine import memory_of
from cai_kedro.engines.model_shape import shape_of
from cai_kedro.metrics.workload import Cost, Prices, Sizes, load_of, model_bytes, total_of
from cai_kedro.planning.inputs import Material, Settings, configured_sizes, sizes_of_paper
from cai_kedro.planning.project import engines_of, models_of
from cai_kedro.planning.training_trial import training_costs
from cai_kedro.planning.trial import Trial
from cai_kedro.reporting.plan import render_memory, render_plan
from cai_kedro.templates.memory import BILLION, engine_memory, memory_faults, needs_of


def report(
    catalog: DataCatalog,
    parameters: Mapping[str, Any],
    settings: Settings,
    material: Material,
    options: Mapping[str, Any],
) -> Iterator[str]:
    """Time a few rows and give the plans, for the configured sizes and for the paper's."""
    threads = parameters.get("threads") or os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(int(threads) if threads else len(os.sched_getaffinity(0)))
    models = models_of(catalog, parameters, settings.lineage)
    lm = models.load()
    shape = shape_of(lm.model.config)
    needs = list(needs_of(parameters, shape))
    engines = [engine_memory(engine, shape) for engine in engines_of(catalog, settings.lineage)]
    yield f"Memory of each training and engine at its peak, {shape.parameters / BILLION:.3g}B parameters\n"
    yield render_memory([*(need.memory for need in needs), *(each for each in engines if each)])
    if faults := list(memory_faults(parameters, shape, memory_of, {need.node for need in needs})):
        raise ValueError("; ".join(faults))
    trial = Trial(settings, material, models.engines, lm.tokenizer, options["prompts"], options["repeats"])
    told = lambda text: click.echo(text, err=True)  # noqa: E731
    costs, pairs = trial.costs(told)
    if not options["without_training"]:
        costs |= training_costs(settings, pairs, material.red_team, models.load, options["repeats"], told)
    sizes = configured_sizes(settings, material)
    prices = prices_of(options)
    for title, of_run in (
        ("This run", sizes),
        ("With the numbers of rows of the paper, all else as in this run", sizes_of_paper(settings, sizes)),
    ):
        yield f"\n{title}\n"
        yield _plan(costs, of_run, lm.model.num_parameters(), prices, options["currency"])
    yield ""
    yield from _notes(models.stand_ins, options)


def _plan(costs: Mapping[str, Cost], sizes: Sizes, parameters: int, prices: Prices | None, currency: str) -> str:
    loads = {stage: load_of(costs[stage], rows) for stage, rows in sizes.units().items() if rows and stage in costs}
    models = model_bytes(parameters, sizes.checkpoints, sizes.snapshots)
    return render_plan(loads, total_of(loads), models=models, prices=prices, currency=currency)


def prices_of(options: Mapping[str, Any]) -> Prices | None:
    """Return the prices that were given, None if there are none; cached tokens cost what others do, if not said."""
    if options["price_prompt"] is None:
        return None
    cached = options["price_cached"]
    prompt = options["price_prompt"]
    return Prices(prompt=prompt, cached=prompt if cached is None else cached, written=options["price_written"])


def _notes(stand_ins: tuple[str, ...], options: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Hours: means of {options['repeats']} trials of {options['prompts']} prompts a stage, 95 % intervals. "
        f"Larger batches are faster a row: see --prompts."
    )
    if stand_ins:
        yield f"Not made yet, the pretrained model was timed in their place: {', '.join(stand_ins)}."
    if options["without_training"]:
        yield "Without the time of trainings."
    yield "Not in it: loading of models, judging, people. Tokens of trainings are not counted."
