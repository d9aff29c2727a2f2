"""What the two methods ask of people and of models, counted alike."""

from collections.abc import Iterable, Mapping

import pandas as pd

from cai_kedro.core.comparison_sources import SOURCES
from cai_kedro.core.constitution import Constitution
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.lineage import Lineage
from cai_kedro.core.question_types import QuestionTypes
from cai_kedro.core.rules import RuleSet
from cai_kedro.metrics.workload import Effort, Load, Sizes, total_of
from cai_kedro.planning.inputs import Material
from cai_kedro.planning.self_align import SelfAlignMaterial

#: Stages of a run that only compare: ablations, a second kind of labels, the evaluation.
COMPARING = frozenset({"direct_revisions", "cot_labels", "eval_responses"})


def effort_of(method: str, lines: int, labels: int, loads: Mapping[str, Load]) -> Effort:
    """Add up the stages that belong to the method; those that only compare are left out."""
    total = total_of({stage: load for stage, load in loads.items() if stage not in COMPARING})
    return Effort(method, lines, labels, total.calls, total.prompt_tokens, total.written_tokens)


def lines_of_cai(material: Material) -> int:
    """Count the lines of the constitution, and of what people say in the given prompts."""
    prompts = (cell for table in (material.red_team, material.helpful) for cell in _conversations(table))
    said = (turn["content"] for messages in prompts for turn in messages if turn["role"] == "user")
    return _lines(said) + _lines(_of_constitution(material.constitution))


def lines_of_self_align(material: SelfAlignMaterial) -> int:
    """Count the lines of seed tasks, types of questions, rules and worked examples.

    A rule is one line with its name, so is a type with its sentence, and a topic with its question.
    """
    return _lines([*material.seed_tasks, *_of_types(material.question_types), *_of_rules(material.rules)])


def labels_behind(policies: Iterable[str], lineage: Lineage, sizes: Sizes) -> int:
    """Count the comparisons by people that some policies, and all that has to be there before them, learn from.

    A pair that people compare by two objectives counts twice.
    """
    behind = frozenset[str]().union(*(lineage.behind(policy) for policy in policies))
    arms = [arm for arm in lineage.arms if arm in behind]
    sources = {source for arm in arms for source in lineage.sources_of(arm) if lineage.maker_of(source) == "people"}
    return sum(int(getattr(sizes, SOURCES[source].pairs)) for source in sources)


def starts_of_self_align(lineage: Lineage) -> frozenset[str]:
    """Return the policies that the stages of SELF-ALIGN train from; they learn from no comparisons themselves."""
    stages = (lineage.policies[name] for name in lineage.self_aligned.values())
    starts = {policy.start for policy in stages if policy is not None and policy.given is None}
    return frozenset(start for start in starts if start in lineage.present)


def _lines(texts: Iterable[str]) -> int:
    return sum(bool(line.strip()) for text in texts for line in text.split("\n"))


def _conversations(prompts: pd.DataFrame) -> Iterable[Conversation]:
    return (as_messages(cell) for cell in prompts["messages"])


def _of_constitution(written: Constitution) -> Iterable[str]:
    for critique in written.critique_principles:
        yield from (critique.critique_request, critique.revision_request)
    yield from (each.question for each in (*written.preference_principles, *written.helpfulness_principles))
    shots = written.few_shots
    yield from shots.red_team_prompts
    for example in shots.critiques:
        yield from _texts(example.model_dump(mode="json"))
    for compared in (*shots.comparisons, *shots.cots):
        yield from _texts(compared.model_dump(mode="json"))


def _texts(value: object) -> Iterable[str]:
    """Yield the texts in an example, whatever its fields are; names of roles and letters are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for key, each in value.items() if key not in ("role", "answer") for text in _texts(each))
    elif isinstance(value, (list, tuple)):
        yield from (text for each in value for text in _texts(each))


def _of_types(types: QuestionTypes) -> Iterable[str]:
    yield from (types.tasks_header, types.topics_header, types.questions_header)
    yield " ".join(types.cannot)
    for one in types.types:
        yield f"{one.name}: {one.about}"
        yield from (header for header in (one.topics_header, one.questions_header) if header is not None)
        yield from (f"{topic}: {question}" for topic, question in one.examples.items())


def _of_rules(written: RuleSet) -> Iterable[str]:
    yield from (f"{entry.name}: {entry.text}" for entry in written.rules)
    for example in written.examples:
        yield from (turn["content"] for turn in example.question)
        yield from (example.thoughts, example.answer)
