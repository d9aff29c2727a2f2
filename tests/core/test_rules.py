"""Rules and worked examples of SELF-ALIGN: what may be in their files, and which rules some thoughts name."""

from pathlib import Path

import pytest
import yaml
from kedro.io import DatasetError

from cai_kedro.core.asks import Rule
from cai_kedro.core.layouts.hh import worked_text
from cai_kedro.core.rules import NoRuleError, RuleEntry, RuleExample, RuleSet, UnknownRuleError, named_rules
from cai_kedro.core.rules_reader import read_rules
from cai_kedro.datasets.rules_dataset import RulesDataset

FOLDER = Path(__file__).parents[2] / "conf" / "base" / "self_align"
RULES = [Rule("harmless", "Refuse."), Rule("step-by-step", "One after the other."), Rule("brief", "Be short.")]
PAPER = [
    *("ethical", "informative", "helpful", "question assessment", "reasoning", "multi-aspect", "candor"),
    *("knowledge recitation", "static", "clarification", "numerical sensitivity", "dated knowledge", "step-by-step"),
    *("balanced perspectives", "creative", "operational"),
]


@pytest.mark.parametrize(
    ("thoughts", "names"),
    [
        ("It is harmful. I follow rule 1 (harmless), rule 3 (brief).", ["harmless", "brief"]),
        ("I follow rules 3 (brief) and 1 (Harmless).", ["brief", "harmless"]),
        ("Rule 2 (step by step), 3 (brief), and rule 1 (harmless) apply.", ["step-by-step", "brief", "harmless"]),
        ("By rule 1 (harmless) I say no. Rule 1 (harmless) is enough; rule 3(brief).", ["harmless", "brief"]),
        ("It is harmless. I follow no rule.", []),
        ("In 1990 (harmless) things were so. Under rule 3 (brief) I say little.", ["brief"]),
    ],
)
def test_the_rules_that_thoughts_name(thoughts: str, names: list[str]) -> None:
    assert named_rules(thoughts, RULES) == names


@pytest.mark.parametrize(
    "thoughts",
    ["I follow rule 4 (brief).", "Rule 1 (brief).", "I follow rule 0 (harmless).", "rule 1 (harmless), 2 (brief)"],
)
def test_a_rule_that_there_is_not(thoughts: str) -> None:
    with pytest.raises(UnknownRuleError, match=r"no such rule; the rules are 1 \(harmless\), 2 \(step-by-step\)"):
        named_rules(thoughts, RULES)


@pytest.mark.parametrize("thoughts", ["I say no.", "I follow rule 1.", "I follow the rule harmless.", "1 (harmless)"])
def test_thoughts_without_a_rule(thoughts: str) -> None:
    with pytest.raises(NoRuleError, match="name no rule"):
        named_rules(thoughts, RULES)


def test_the_english_set_is_whole() -> None:
    rules = read_rules(FOLDER / "english")
    assert [entry.name for entry in rules.rules] == PAPER
    assert len(rules.examples) == 5
    worked = rules.worked(5, rules.asked(None))
    assert worked_text(worked[1]).startswith(
        "\n\nHuman: Who won yesterday's cycling race?\n\nAssistant (thoughts): The human"
    )
    named = {name for example in rules.examples for name in named_rules(example.thoughts, rules.asked(None))}
    assert len(named) >= 10, "the examples show most of the rules"


def test_a_digest_is_of_what_is_said(tmp_path: Path) -> None:
    written = tmp_path / "rules.yml"
    written.write_text("- name: harmless\n  text: Refuse harm.\n")
    first = read_rules(tmp_path).sha256
    written.write_text('# a comment\n- {text: "Refuse harm.", name: harmless}\n')
    assert read_rules(tmp_path).sha256 == first
    written.write_text("- name: harmless\n  text: Refuse all harm.\n")
    assert read_rules(tmp_path).sha256 != first


def test_people_write_less_than_300_lines() -> None:
    """The promise of the method: seed tasks, types of questions, rules and examples together (SELF-ALIGN)."""
    files = sorted((FOLDER / "english").glob("*.yml"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    written = [line for line in lines if line.strip() and not line.startswith("#")]
    assert 30 < len(written) < 300
    assert max(map(len, written)) < 300, "no paragraph on one line"


def test_rules_of_the_micro_world_are_chosen_by_name() -> None:
    rules = read_rules(FOLDER / "micro_world")
    assert [entry.name for entry in rules.rules] == ["harmless", "helpful", "careful", "silent", "brief", "wordy"]
    chosen = rules.asked(["brief", "harmless"])
    assert [rule.text for rule in chosen] == ["Answer in one sentence.", "Refuse what harms somebody, and say why."]
    with pytest.raises(ValueError, match="no rule 'kind', only harmless, helpful"):
        rules.asked(["kind"])


def test_examples_go_with_the_rules_that_they_number() -> None:
    rules = read_rules(FOLDER / "english")
    assert rules.worked(0, rules.asked(["helpful"])) == ()
    with pytest.raises(ValueError, match="go with all rules alone; set `examples` to 0"):
        rules.worked(1, rules.asked(["helpful"]))
    with pytest.raises(ValueError, match="there are 5 worked examples, 6 are asked for"):
        rules.worked(6, rules.asked(None))


GOOD_RULES = [{"name": "kind", "text": "Be kind."}, {"name": "brief", "text": "Be short."}]
EXAMPLE = {"question": "Hi?", "thoughts": "I follow rule 1 (kind).", "answer": "Hello!"}


@pytest.mark.parametrize(
    ("rules", "examples", "told"),
    [
        (
            [{"name": "kind"}],
            [],
            r"rules.yml: entry 1: the field 'text' is missing. .* the fields name, text",
        ),
        ([{"name": "kind", "text": "  "}], [], r"rules.yml: entry 1: the field 'text' is empty"),
        ([{"name": "kind", "text": None}], [], r"rules.yml: entry 1: the field 'text' is empty"),
        (None, [], r"rules.yml: expected a list, got nothing; write its entries there"),
        ([*GOOD_RULES, "Be good."], [], r"rules.yml: entry 3: expected a mapping of fields, got str 'Be good.'"),
        ([{"name": "kind", "text": "Be\nkind."}], [], r"entry 1: text: must stand on one line"),
        ([{"name": "Kind (1)", "text": "Be kind."}], [], r"entry 1: name: String should match"),
        ([], [], r"rules.yml: there is no rule; write at least one"),
        ([*GOOD_RULES, {"name": "kind", "text": "Be good."}], [], r"entry 1 and entry 3 have the same name 'kind'"),
        ([*GOOD_RULES, {"name": "good", "text": "Be kind."}], [], r"entry 1 and entry 3 have the same text"),
        (
            GOOD_RULES,
            [EXAMPLE | {"thoughts": "I follow rule 3 (good)."}],
            r"examples.yml: entry 1: .* rule 3 \(good\)",
        ),
        (
            GOOD_RULES,
            [EXAMPLE | {"thoughts": "I follow rule 2 (kind)."}],
            r"entry 1: .* no such rule; the rules are 1",
        ),
        (GOOD_RULES, [EXAMPLE, EXAMPLE | {"thoughts": "Hm."}], r"entry 2: the thoughts name no rule"),
        (GOOD_RULES, [EXAMPLE, EXAMPLE], r"entry 2: the question is that of another example"),
        (GOOD_RULES, [{"question": "Hi?", "thoughts": "I follow rule 1 (kind)."}], r"the field 'answer' is missing"),
        (GOOD_RULES, {"question": "Hi?"}, r"worked_examples.yml: expected a list, got dict"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_entry(rules: object, examples: object, told: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / "worked_examples.yml").write_text(yaml.safe_dump(examples))
    with pytest.raises(DatasetError, match=told):
        RulesDataset(filepath=tmp_path).load()


def test_a_folder_without_rules_and_without_examples(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no rules.yml in .*correct the path in the catalog"):
        RulesDataset(filepath=tmp_path).load()
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(GOOD_RULES))
    assert RulesDataset(filepath=tmp_path).load().examples == ()


def test_without_a_rule_the_others_move_up_in_the_examples_too() -> None:
    names = ("harmless", "brief", "helpful")
    told = (
        "It harms. I follow rule 1 (harmless).",
        "Rules 2 (brief) and 3 (helpful) apply; see point 3.",
        "I follow Rule 3 (Helpful).",
    )
    given = RuleSet(
        rules=tuple(RuleEntry(name=name, text=f"Be {name}.") for name in names),
        examples=tuple(RuleExample(question=f"{n}?", thoughts=text, answer="Yes.") for n, text in enumerate(told)),
    )
    fewer = given.without("harmless")
    assert [entry.name for entry in fewer.rules] == ["brief", "helpful"]
    assert [example.thoughts for example in fewer.examples] == [
        "Rules 1 (brief) and 2 (helpful) apply; see point 3.",
        "I follow Rule 2 (Helpful).",
    ]
    assert fewer.worked(2, fewer.asked(None)), "they hold under the rules that are left"
    assert [example.thoughts for example in given.without("brief").examples] == [told[0], "I follow Rule 2 (Helpful)."]
