"""The model card: what an exported policy is, what it was made of, how it did, and what it is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cai_kedro import __version__


@dataclass(frozen=True)
class InputFile:
    """A file that people gave to the run: its place in the project and the sha256 of its bytes."""

    name: str
    path: str
    sha256: str


@dataclass(frozen=True)
class CardFacts:
    """All that a card tells. Texts that are not known are empty, and the card says so.

    `how` is empty for a model that the run did not train. `kept` says so where an arm's training left its start policy
    as it was. `origin`: where a model is from that the run did not train, else the pretrained one.
    """

    policy: str
    env: str
    made: str
    how: str
    origin: str
    parameters: int
    weights_sha256: str
    layout: str
    stops: Sequence[str]
    ends: Sequence[str]
    sampling: str
    constitution_sha256: str
    principles: Sequence[str]
    seed: str
    machine: str
    command: str
    commit: str
    recorded: bool
    files: Sequence[InputFile]
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    table: str = ""
    no_table: str = ""
    kept: str = ""


def model_card(facts: CardFacts) -> str:
    """Return the card in Markdown, with the header that the hub reads."""
    return (
        "\n\n".join(
            part
            for part in (
                _HEADER,
                f"# {facts.policy}",
                _what(facts),
                _use(facts),
                f"## What {'it' if facts.how else 'the run'} was made of\n\n{_made_of(facts)}",
                f"## How it did\n\n{_table(facts)}",
                f"## Limits\n{_LIMITS}",
            )
            if part
        )
        + "\n"
    )


_HEADER = """---
library_name: transformers
pipeline_tag: text-generation
license: other
license_name: that-of-the-base-model
tags: [constitutional-ai, cai_kedro]
---"""

_LIMITS = """
- One run is one training. Brackets are intervals over prompts; another seed, and even another processor, ends further
  apart.
- The figures hold for the prompts of the table above, and for who judged them. On other prompts, in other languages,
  in longer conversations, and against people who try to break it, the model may do harm or refuse what is harmless.
- A preference model, a labeller and a referee are models themselves, with errors of their own.
- The model knows what its base model knows, and states falsehoods as it does. Its licence is that of the base model.
- Weights were rounded to bfloat16 for this directory; training and the table above may have used more digits."""

_NOT_RECORDED = (
    "MLflow has no record of the run that made this model. Seed, constitution and files below are those of the project "
    "when it was exported."
)


def _what(facts: CardFacts) -> str:
    size = f"A language model of {facts.parameters:,} parameters"
    method = "*Constitutional AI: Harmlessness from AI Feedback* (Bai et al. 2022, arXiv:2212.08073)"
    kept = f" {facts.kept}" if facts.kept else ""
    if not facts.how:
        return (
            f"{size}, {facts.origin}. It was given to a run of `cai_kedro` {__version__} after {method}, which did not "
            f"train it.{kept}"
        )
    return (
        f"{size} that was trained by `cai_kedro` {__version__} after {method}. {facts.how}"
        f"{kept} The pretrained model: {facts.origin}."
    )


def _use(facts: CardFacts) -> str:
    names = ", ".join(f"`{name}`" for name in facts.ends)
    lines = [
        "```python",
        "from transformers import pipeline",
        "",
        'chat = pipeline("text-generation", model="path/of/this/directory")',
        'chat([{"role": "user", "content": "Hello!"}], return_full_text=False)',
        "```",
        "",
        f"The chat template is the layout in which it was trained (`{facts.layout}`). An answer ends on {names}. It "
        f"samples as in the evaluation of the run ({facts.sampling}) unless you say otherwise.",
    ]
    if facts.stops:
        listed = ", ".join(f"`{stop!r}`" for stop in facts.stops)
        lines.append(
            f"\nThe layout ends turns by text. A model that does not write its end token goes on with another "
            f"turn; to cut there, as this project does, give the stop strings {listed} (`stop_sequence` of the "
            f"pipeline, `stop` of a server)."
        )
    return "## How to use it\n\n" + "\n".join(lines)


def _made_of(facts: CardFacts) -> str:
    record = "" if facts.recorded else f"{_NOT_RECORDED}\n\n"
    rows = [
        ("policy, version", f"`{facts.policy}`, `{facts.made}`, environment `{facts.env}`"),
        ("weights", f"sha256 `{facts.weights_sha256}` as trained"),
        ("constitution", f"sha256 `{facts.constitution_sha256}`, {len(facts.principles)} principles"),
        ("seed", facts.seed or "not recorded"),
        ("command", f"`{facts.command}`" if facts.command else "not recorded"),
        ("commit", f"`{facts.commit}`" if facts.commit else "not recorded"),
        ("machine", facts.machine or "not recorded"),
    ]
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {_cell(value)} |" for name, value in rows)])
    parts = [record + table]
    if facts.principles:
        parts.append("Principles, by title: " + "; ".join(_cell(title) for title in facts.principles) + ".")
    if facts.files:
        lines = [f"| {file.name} | {_cell(file.path)} | `{file.sha256[:16]}` |" for file in facts.files]
        parts.append("\n".join(["| file of the project | path | sha256 |", "| --- | --- | --- |", *lines]))
    if facts.versions:
        lines = [f"- `{version}`: {', '.join(names)}" for version, names in facts.versions.items()]
        parts.append("\n".join(["Versions of the tables and models that it was made of:", "", *lines]))
    return "\n\n".join(parts)


def _table(facts: CardFacts) -> str:
    return f"```\n{facts.table}\n```" if facts.table else facts.no_table


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
