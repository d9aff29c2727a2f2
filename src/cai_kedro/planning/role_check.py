"""`kedro check-labeller`: whether the labeller and the critic of a run can do their work, and who could."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kedro.io import DataCatalog

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.lineage import Lineage
from cai_kedro.engines.base import TextEngine
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.role_check import Setting, Verdict, next_choice, told
from cai_kedro.pipelines.data_generation.revision import RevisionParams
from cai_kedro.pipelines.preference_labeling.labels import LabelParams
from cai_kedro.planning.project import models_of
from cai_kedro.templates.role_check import RoleCheckParams, other_numbers, try_critic, try_labeller

#: How the figures of comparisons are called in the terminal.
_TOLD = {
    "accuracy": "right",
    "accuracy.complies": "  against an answer that obeys",
    "accuracy.evades": "  against one that evades",
    "accuracy.off_topic": "  against one off the topic",
    "accuracy.unhelpful": "  against one that does not help",
    "accuracy_of_worse": "right when asked for the worse one",
    "p_a": "mean probability of the letter A",
    "contradictions": "the same letter in both orders",
    "decidedness": "mean distance of p from 1/2",
    "naming": "critiques that name the act",
    "naming_by_chance": "  the act of another conversation",
}

_LABEL_SHOTS = "preference_labeling.labels.few_shots"
_CRITIQUE_SHOTS = "data_generation.revision.few_shots"


def check_roles(catalog: DataCatalog, parameters: Mapping[str, Any], echo: Callable[[str], None]) -> bool:
    """Try the labeller and the critic as the run uses them, with and without worked examples; tell; return the verdict.

    Where the labeller fails, the models of the other roles are tried as labellers, too. Raises `ValueError` and
    `DatasetError` for what is not there or not right.
    """
    lineage = Lineage.model_validate(parameters["lineage"])
    models = models_of(catalog, parameters, lineage)
    for name in models.stand_ins:
        echo(f"{name} is not there yet: the pretrained model stands in for it")
    return Roles.of(models.engines, lineage, catalog.load("constitution"), parameters).check(echo)


@dataclass(frozen=True)
class Roles:
    """The engines by role, who plays them, what the constitution says, and the parameters of the run."""

    engines: Mapping[str, TextEngine]
    lineage: Lineage
    constitution: Constitution
    labels: LabelParams
    revision: RevisionParams
    params: RoleCheckParams
    seed: int

    @classmethod
    def of(
        cls,
        engines: Mapping[str, TextEngine],
        lineage: Lineage,
        constitution: Constitution,
        parameters: Mapping[str, Any],
    ) -> "Roles":
        """Take the parameters of a run."""
        return cls(
            engines,
            lineage,
            constitution,
            LabelParams.model_validate(parameters["preference_labeling"]["labels"]),
            RevisionParams.model_validate(parameters["data_generation"]["revision"]),
            RoleCheckParams.model_validate(parameters["check_labeller"]),
            parameters["seed"],
        )

    def check(self, echo: Callable[[str], None]) -> bool:
        """Check both; return whether both passed. Without a labeller, the critic alone."""
        passed = [] if self.lineage.roles.labeller is None else [_check_labeller(self, echo)]
        return all([*passed, _check_critic(self, echo)])

    def compare(self, engine: TextEngine, few_shots: int) -> tuple[dict[str, Estimate], Verdict]:
        """Try an engine as the labeller."""
        return try_labeller(
            engine, self.constitution, few_shots, self.labels.both_orders, self.params, self.seed, turned=True
        )

    def criticise(self, few_shots: int) -> tuple[dict[str, Estimate], Verdict]:
        """Try the critic."""
        sampling = self.revision.sampling
        return try_critic(self.engines["critic"], self.constitution, few_shots, sampling, self.params, self.seed)


def _check_labeller(roles: Roles, echo: Callable[[str], None]) -> bool:
    own, few_shots = roles.engines["labeller"], roles.labels.few_shots
    echo(f"labeller: {roles.lineage.roles.labeller}")
    figures, verdict = roles.compare(own, few_shots)
    _tell(f"with {_examples(few_shots)}, as the run asks", figures, echo)
    settings = []
    for number in other_numbers(few_shots, len(roles.constitution.few_shots.comparisons)):
        others, other_verdict = roles.compare(own, number)
        _tell(f"with {_examples(number)}", others, echo)
        settings.append(Setting(f"{_LABEL_SHOTS}={number}", others["accuracy"], other_verdict.passed))
    if not any([verdict.passed, *(setting.passed for setting in settings)]):
        settings += _in_its_place(roles, echo)
    return _conclude("labeller", verdict, settings, echo)


def _in_its_place(roles: Roles, echo: Callable[[str], None]) -> Iterator[Setting]:
    """Try the models of the other roles as labellers."""
    seen = [roles.engines["labeller"]]
    for role, who in roles.lineage.roles.engines.items():
        if any(roles.engines[role] is engine for engine in seen):
            continue
        seen.append(roles.engines[role])
        figures, verdict = roles.compare(roles.engines[role], roles.labels.few_shots)
        _tell(f"{who} in its place, with {_examples(roles.labels.few_shots)}", figures, echo)
        yield Setting(f"lineage.roles.labeller={who}", figures["accuracy"], verdict.passed)


def _check_critic(roles: Roles, echo: Callable[[str], None]) -> bool:
    few_shots = roles.revision.few_shots
    echo(f"critic: {roles.lineage.roles.critic}")
    figures, verdict = roles.criticise(few_shots)
    _tell(f"with {_examples(few_shots)}, as the run asks", figures, echo)
    settings = []
    for number in other_numbers(few_shots, len(roles.constitution.few_shots.critiques)):
        others, other_verdict = roles.criticise(number)
        _tell(f"with {_examples(number)}", others, echo)
        settings.append(Setting(f"{_CRITIQUE_SHOTS}={number}", others["naming"], other_verdict.passed))
    return _conclude("critic", verdict, settings, echo)


def _examples(n: int) -> str:
    return f"{n} worked examples" if n else "no worked examples"


def _tell(title: str, figures: Mapping[str, Estimate], echo: Callable[[str], None]) -> None:
    echo(f"  {title}")
    width = max(len(_TOLD[name]) for name in figures)
    for name in (name for name in _TOLD if name in figures):
        echo(f"    {_TOLD[name]:<{width}}  {told(figures[name])}")


def _conclude(role: str, verdict: Verdict, settings: list[Setting], echo: Callable[[str], None]) -> bool:
    for note in verdict.notes:
        echo(f"  note: {note}")
    if verdict.passed:
        echo(f"  verdict: it can be the {role}\n")
        return True
    echo(f"  verdict: it cannot be the {role}: {'; '.join(verdict.faults)}")
    echo(f"  next best choice: {next_choice(role, settings)}\n")
    return False
