"""Reads the rules and the worked examples of SELF-ALIGN from a folder of two YAML files."""

from pathlib import Path

from cai_kedro.core.constitution_entries import entries, load
from cai_kedro.core.rules import RuleEntry, RuleExample, RuleSet, check_example, check_rules

RULES, EXAMPLES = "rules.yml", "worked_examples.yml"


def read_rules(folder: str | Path) -> RuleSet:
    """Read `rules.yml` (a list of `name`, `text`) and, if it is there, `worked_examples.yml`.

    An example has `question` (a text, or turns), `thoughts` and `answer`. Raises `ValueError` that names the file, the
    entry, what was expected and what to do.
    """
    rules_file, examples_file = Path(folder) / RULES, Path(folder) / EXAMPLES
    if not rules_file.is_file():
        raise ValueError(f"there is no {RULES} in {folder}; put one there, or correct the path in the catalog")
    rules = entries(RuleEntry, load(rules_file), str(rules_file))
    try:
        check_rules(rules)
    except ValueError as error:
        raise ValueError(f"{rules_file}: {error}") from error
    listed = load(examples_file) if examples_file.is_file() else []
    examples = entries(RuleExample, [] if listed is None else listed, str(examples_file))
    for place, example in enumerate(examples, start=1):
        try:
            check_example(example, rules, examples[: place - 1])
        except ValueError as error:
            raise ValueError(f"{examples_file}: entry {place}: {error}") from error
    return RuleSet(rules=rules, examples=examples)
