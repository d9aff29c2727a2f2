"""The rules of SELF-ALIGN, their worked examples, and which rules some thoughts name.

Texts are stored without the frames of any layout around them.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from cai_kedro.core.asks import Rule, RuledReply, RuleThoughts, Worked
from cai_kedro.core.constitution import Text, Turns
from cai_kedro.core.conversation import render

#: A number and behind it a name in brackets: `2 (brief)`.
_MENTION = r"(\d{1,3}) ?\(([^()\n]{1,60})\)"
_MENTIONS = re.compile(rf"\brules?:? {_MENTION}(?:(?:, and|,| and) (?:rule )?{_MENTION})*", re.IGNORECASE)
_ONE = re.compile(_MENTION)
_NONE = re.compile(r"\bno (?:such )?rules?\b", re.IGNORECASE)


def _on_one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must stand on one line")
    return text


Line = Annotated[Text, AfterValidator(_on_one_line)]
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9 _-]*$", max_length=40)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleEntry(_Frozen):
    """One rule as people write it; its number is its place in the file."""

    name: RuleName
    text: Line

    @property
    def rule(self) -> Rule:
        """The rule as a model is asked under it."""
        return Rule(self.name, self.text)


class RuleExample(_Frozen):
    """A worked example: a question, the thoughts that name the rules, and the answer."""

    question: Turns
    thoughts: Line
    answer: Text

    @property
    def worked(self) -> Worked:
        """The example as the model reads it, behind the rules of those who ask."""
        return Worked(RuledReply(RuleThoughts(self.question), self.thoughts), self.answer)


class RuleSet(_Frozen):
    """What people give for the second stage of SELF-ALIGN: numbered rules, and worked examples under all of them."""

    rules: tuple[RuleEntry, ...]
    examples: tuple[RuleExample, ...]

    @property
    def sha256(self) -> str:
        """A digest of every rule and example, whatever the files look like."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def asked(self, names: Sequence[str] | None) -> tuple[Rule, ...]:
        """Return the rules of these names in this order, all for None; raises `ValueError` for a name there is not."""
        by_name = {entry.name: entry.rule for entry in self.rules}
        for name in names or ():
            if name not in by_name:
                raise ValueError(f"there is no rule {name!r}, only {', '.join(by_name)}; correct the name")
        return tuple(by_name[name] for name in (by_name if names is None else names))

    def without(self, name: str) -> "RuleSet":
        """Return all but one rule: those behind it move up, in the thoughts of the examples, too.

        Examples whose thoughts name it are left out, as they do not hold any more.
        """
        kept = tuple(entry for entry in self.rules if entry.name != name)
        every = [entry.rule for entry in self.rules]
        places = {entry.name: place for place, entry in enumerate(kept, start=1)}

        def renumbered(thoughts: str) -> str:
            def moved(mention: re.Match[str]) -> str:
                return f"{places[every[int(mention[1]) - 1].name]} ({mention[2]})"

            return _MENTIONS.sub(lambda mentions: _ONE.sub(moved, mentions[0]), thoughts)

        examples = tuple(
            example.model_copy(update={"thoughts": renumbered(example.thoughts)})
            for example in self.examples
            if name not in named_rules(example.thoughts, every)
        )
        return RuleSet(rules=kept, examples=examples)

    def worked(self, n: int, rules: Sequence[Rule]) -> tuple[Worked, ...]:
        """Return the first `n` worked examples whose thoughts hold under these rules.

        Raises `ValueError` where there are fewer: a number in thoughts is the place of a rule among all.
        """
        if n and tuple(rules) != self.asked(None):
            raise ValueError(
                "worked examples name rules by their numbers, so they go with all rules alone; set `examples` to 0, or "
                "`rules` to null"
            )
        if n > len(self.examples):
            raise ValueError(
                f"there are {len(self.examples)} worked examples, {n} are asked for; write more, or ask for fewer"
            )
        return tuple(example.worked for example in self.examples[:n])


def check_rules(rules: Sequence[RuleEntry]) -> None:
    """Raise `ValueError` that names the entries when there is no rule, or two of them share a name or a text."""
    if not rules:
        raise ValueError("there is no rule; write at least one")
    for what in ("name", "text"):
        places: dict[str, int] = {}
        for place, entry in enumerate(rules, start=1):
            value = _plain(getattr(entry, what))
            if value in places:
                raise ValueError(
                    f"entry {places[value]} and entry {place} have the same {what} {getattr(entry, what)!r}; give each "
                    f"rule a {what} of its own"
                )
            places[value] = place


def check_example(example: RuleExample, rules: Sequence[RuleEntry], before: Collection[RuleExample] = ()) -> None:
    """Raise `ValueError` for an example that names no rule or one that there is not, or asks what another one asks."""
    if not named_rules(example.thoughts, [entry.rule for entry in rules]):
        raise ValueError("the thoughts name no rule; name those that are followed, as in `rule 1 (name)`")
    if render(example.question) in {render(other.question) for other in before}:
        raise ValueError("the question is that of another example; write another one")


def named_rules(thoughts: str, rules: Sequence[Rule]) -> list[str]:
    """Return the names of the rules that thoughts name, in the order of the thoughts, each once.

    What counts is the word `rule` or `rules`, a number, and the rule's name in brackets; more of them follow behind a
    comma or `and`, with or without the word again: `rule 1 (harmless), rule 2 (brief)`, `Rules 1 (harmless) and
    2 (brief)`. Letters may be large or small. Thoughts that say `no rule` name none. Raises `UnknownRuleError` where
    number and name are not those of one rule, `NoRuleError` where nothing of this is said.
    """
    found: dict[str, None] = {}
    for mentions in _MENTIONS.finditer(thoughts):
        for number, name in _ONE.findall(mentions[0]):
            place = int(number) - 1
            if not 0 <= place < len(rules) or _plain(rules[place].name) != _plain(name):
                known = ", ".join(f"{at} ({rule.name})" for at, rule in enumerate(rules, start=1))
                raise UnknownRuleError(
                    f"the thoughts name rule {number} ({name}), and there is no such rule; the rules are {known}"
                )
            found[rules[place].name] = None
    if not found and not _NONE.search(thoughts):
        raise NoRuleError("the thoughts name no rule; expected `rule 1 (name)`, or `no rule`")
    return list(found)


def mentions_rule(text: str) -> bool:
    """Tell whether a text names a rule as `named_rules` reads it, whatever its number and name are."""
    return _MENTIONS.search(text) is not None


class UnknownRuleError(ValueError):
    """Thoughts name a rule that there is not."""


class NoRuleError(ValueError):
    """Thoughts neither name a rule nor say that none applies."""


def _plain(text: str) -> str:
    return " ".join(re.split(r"[\s_-]+", text.strip().lower()))
