"""What people write for self-instruct: seed tasks, and types of questions that try a model hard (method, section 2).

Both are files; every fault is a `ValueError` that names the file, the entry, what was expected and what to do next.
"""

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cai_kedro.core.constitution_entries import check, load, require_keys, require_list
from cai_kedro.core.held_out import plain_words

_SUFFIXES = (".yml", ".yaml", ".json")
_ARTICLE = re.compile(r"^(?:the|an|a) (?=.)")
_FIELDS = {"about", "type", "topic"}
#: What the fields of a header are checked with.
_ANY = dict.fromkeys(_FIELDS, "x")


class QuestionType(BaseModel):
    """One type: its name, a sentence about it, and examples (topic → a question on it).

    The headers, where the type has its own, are those of `QuestionTypes`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    about: str = Field(min_length=1)
    examples: dict[str, str]
    topics_header: str | None = None
    questions_header: str | None = None

    @field_validator("name", "about")
    @classmethod
    def _one_line(cls, text: str) -> str:
        return one_line(text)

    @field_validator("examples")
    @classmethod
    def _has_questions(cls, examples: dict[str, str]) -> dict[str, str]:
        if not examples:
            raise ValueError("there is no question; give at least one, as topic: question")
        first: dict[str, str] = {}
        for topic, question in examples.items():
            for text in (topic, question):
                one_line(text)
            other = first.setdefault(topic_key(topic), topic)
            if other != topic:
                raise ValueError(f"the topics {other!r} and {topic!r} are the same one; drop one of them")
        return examples

    @field_validator("topics_header")
    @classmethod
    def _topics(cls, header: str | None) -> str | None:
        return None if header is None else check_header(header, topic=False)

    @field_validator("questions_header")
    @classmethod
    def _questions(cls, header: str | None) -> str | None:
        return None if header is None else check_header(header, topic=True)


class QuestionTypes(BaseModel):
    """All types, the lines above their lists, and words of what a text model cannot do (`cannot`).

    In a header `{about}` stands for the sentence of the type, `{type}` for its name, `{topic}` for a topic.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks_header: str = Field(min_length=1)
    topics_header: str
    questions_header: str
    cannot: tuple[str, ...] = ()
    types: tuple[QuestionType, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        places: dict[str, int] = {}
        for place, one in enumerate(self.types, start=1):
            first = places.setdefault(plain_words(one.name), place)
            if first != place:
                raise ValueError(f"the name {one.name!r} is used by type {first} and by type {place}; rename one")
        return self

    @field_validator("topics_header")
    @classmethod
    def _topics(cls, header: str) -> str:
        return check_header(header, topic=False)

    @field_validator("questions_header")
    @classmethod
    def _questions(cls, header: str) -> str:
        return check_header(header, topic=True)

    @field_validator("cannot")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one_line(word) for word in words)

    def over_topics(self, one: QuestionType) -> str:
        """Return the line above a list of topics of a type."""
        header = one.topics_header or self.topics_header
        return _opened(header.format(about=one.about, type=one.name))

    def over_questions(self, one: QuestionType, topic: str) -> str:
        """Return the line above a list of questions of a type about a topic."""
        header = one.questions_header or self.questions_header
        return _opened(header.format(about=one.about, type=one.name, topic=topic))

    @property
    def examples(self) -> Iterator[tuple[QuestionType, str, str]]:
        """All examples: type, topic, question."""
        return ((one, topic, question) for one in self.types for topic, question in one.examples.items())


def topic_key(topic: str) -> str:
    """Return what is equal for topics that differ in case, article or a plural's ending alone."""
    *before, last = _ARTICLE.sub("", plain_words(topic)).split() or [""]
    return " ".join([*before, _singular(last)])


def _singular(word: str) -> str:
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + singular
    is_plural = word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > len("gas")
    return word[:-1] if is_plural else word


def one_line(text: str) -> str:
    """Return a text that is one line and not empty; raises `ValueError` for any other."""
    if not text.strip() or "\n" in text:
        raise ValueError(f"expected one line of text that is not empty, got {text!r}")
    return text


def check_header(header: str, *, topic: bool) -> str:
    """Return a header; raises `ValueError` where its fields in braces cannot be filled in."""
    one_line(header)
    allowed = _FIELDS if topic else _FIELDS - {"topic"}
    told = f"a header may have the fields {', '.join(f'{{{name}}}' for name in sorted(allowed))}"
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(header) if name is not None}
        header.format(**_ANY)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"{told}, got {header!r}") from error
    if not fields <= allowed:
        raise ValueError(f"{told}, got {header!r}")
    if topic and "topic" not in fields:
        raise ValueError(f"the header over questions must say what they are about, {{topic}}, got {header!r}")
    return header


def read_question_types(path: Path) -> QuestionTypes:
    """Read and check the file of question types."""
    raw = _read(path)
    expected = [name for name in QuestionTypes.model_fields if name != "cannot" or "cannot" in (raw or ())]
    require_keys(raw, expected, str(path))
    listed = require_list(raw["types"], f"{path}, types")
    types = tuple(
        check(QuestionType, entry, f"{path}: {_name(entry, place)}") for place, entry in enumerate(listed, start=1)
    )
    return check(QuestionTypes, {**raw, "types": types}, str(path))


def read_seed_tasks(path: Path) -> list[str]:
    """Read and check the file of seed tasks: a list of texts of one line, none there twice."""
    listed, places = require_list(_read(path), str(path)), dict[str, int]()
    if not listed:
        raise ValueError(f"{path}: there is no seed task; write at least one, a line with '- ' each")
    for place, task in enumerate(listed, start=1):
        if task is None:
            raise ValueError(f"{path}: entry {place} is empty; fill it in or drop it")
        if not isinstance(task, str):
            raise ValueError(
                f"{path}: entry {place} is {type(task).__name__}, expected a text; put it in quotes ({task!r})"
            )
        try:
            one_line(task)
        except ValueError as error:
            raise ValueError(f"{path}: entry {place}: {error}; fill it in or drop it") from error
        first = places.setdefault(plain_words(task), place)
        if first != place:
            raise ValueError(f"{path}: entry {place} is the same as entry {first} ({task!r}); drop one of them")
    return listed


def _read(path: Path) -> Any:
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{path}: expected a file that ends on {', '.join(_SUFFIXES)}; rename it, or correct the path")
    return load(path)


def _name(entry: Any, place: int) -> str:
    named = isinstance(entry, dict) and "name" in entry
    return f"type {place} (name {entry['name']!r})" if named else f"type {place}"


def _opened(header: str) -> str:
    """Return a header with a capital letter at its beginning."""
    return header[:1].upper() + header[1:]
