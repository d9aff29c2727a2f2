"""What the corpus says, and what it never says."""

import random
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from cai_kedro.core.asks import Rule
from cai_kedro.core.conversation import parse
from cai_kedro.core.layouts import hh
from cai_kedro.core.rules import named_rules
from cai_kedro.microworld.acts import SPLITS, Act, act_table
from cai_kedro.microworld.criteria import Told, degree, degree_of_any, p_first
from cai_kedro.microworld.documents import CORPUS_MIX, LESSON_MIX, Lesson, describe, document, tell
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.oracle import behaviour_of, requested_act
from cai_kedro.microworld.principles import (
    CRITIQUE_TEMPLATES,
    PREFERENCE_TEMPLATES,
    draw_critique_wording,
    draw_preference_wording,
)
from cai_kedro.microworld.spans import DECISIVE, LETTER, text_of
from tests.microworld.held_out import held_out_in


def _texts(kind: str, n: int = 300) -> list[str]:
    rng = random.Random(kind)
    return [text_of(document(rng, mix={kind: 1.0})) for _ in range(n)]


def test_the_world_has_eight_harms_and_each_split_has_acts() -> None:
    assert len(lexicon().harms) == 8
    table = act_table()
    assert all(len(table.by_split[split, True]) >= 200 for split in SPLITS)
    assert all(len(table.look_alikes[split]) >= 50 for split in SPLITS)
    assert {act.severity for act in table.acts if act.harmful} == {1, 2, 3, 4}
    assert {act.severity for act in table.acts if not act.harmful} == {0}


#: Lists of words, and what verbs are held out of: all that is skill (acts.py).
_WORD_LISTS = {
    "echo": ("object", "verb"),
    "members": ("object", "verb"),
    "glossary": ("verb",),
    "chat": ("object", "verb"),
}


@pytest.mark.parametrize("kind", CORPUS_MIX)
def test_held_out_is_held_out_of_every_kind_of_document(kind: str) -> None:
    """The same count for the very corpus of the shipped LM stands in test_micro_lm.py."""
    found = held_out_in(_texts(kind))
    assert found["combination"] == 0
    for what in ("object", "verb"):
        assert (found[what] > 0) == (what in _WORD_LISTS.get(kind, ())), what


def test_critiques_have_the_layout_of_the_method() -> None:
    for text in _texts("critique", 50):
        head, rest = text.split(hh.CRITIQUE_REQUEST)
        assert parse(head)[-1]["role"] == "assistant"
        assert re.fullmatch(
            rf" [^\n]+{re.escape(hh.CRITIQUE)} The reply [^\n]+{re.escape(hh.REVISION_REQUEST)} [^\n]+"
            rf"{re.escape(hh.REVISION)} [^\n]+",
            rest,
        )


def test_a_review_says_of_each_reply_what_it_does() -> None:
    behaviours = set()
    for text in _texts("review", 150):
        *conversation, _ = parse(text.split(hh.CRITIQUE)[0])
        act = requested_act(conversation)
        assert act is not None
        for said in re.findall(r"Assistant: ([^\n]+)\n\nCritique: (The reply [^\n]+)", text):
            behaviour = behaviour_of(act, said[0])
            assert text_of(describe(behaviour, act)) == said[1], said
            behaviours.add(behaviour)
    assert behaviours == {"objection", "weak", "comply", "badcomply", "right", "wrong", "offtopic"}


_REQUEST = re.compile(
    r"CritiqueRequest: ([^\n]+)\n\nCritique: (The reply [^\n]+)\n\nRevisionRequest: ([^\n]+)\n\nRevision: (.+)"
)


def test_a_verdict_is_a_word_of_the_principle_and_true() -> None:
    """Critics miss some of it, and never see what the principle does not name."""
    named, found, turned = 0, 0, 0
    for text in _texts("critique", 600):
        *conversation, answer = parse(text.split(hh.CRITIQUE_REQUEST)[0])
        act = requested_act(conversation)
        assert act is not None
        told = Told(behaviour_of(act, answer["content"]), act, answer["content"])
        request, critique, revision_request, revision = _REQUEST.findall(text)[0]
        words = {
            word: name
            for name, known in lexicon().criteria.items()
            for word in known
            if word in re.findall(r"\w+", request)
        }
        fitting = {word for word, name in words.items() if degree(name, told) > 0}
        verdict = re.findall(r"It is (\w+)", critique)[0]
        assert verdict == "fine" or verdict in fitting, text
        named += bool(fitting)
        found += verdict != "fine"
        revised = Told(behaviour_of(act, revision), act, revision)
        if " more " in revision_request:
            turned += 1
            assert degree_of_any(list(words.values()), revised) >= degree_of_any(list(words.values()), told), text
    assert 0.85 < found / named < 0.99
    assert turned > 40


def _letters(kind: str, n: int) -> Iterator[tuple[float, str]]:
    """Yield how probable the principle makes A, read from the text by the oracle, and the letter."""
    for text in _texts(kind, n):
        asked, options = text.removeprefix(hh.CONSIDER).split(" Options:")
        conversation, question = asked.rsplit("\n\n", 1)
        act = requested_act(parse(conversation))
        assert act is not None
        shown = dict(re.findall(r"\(([AB])\) \[\[\[(.*)\]\]\]", options))
        told = [Told(behaviour_of(act, shown[letter]), act, shown[letter]) for letter in "AB"]
        said = re.findall(r"\w+", question)
        criteria = [name for name, words in lexicon().criteria.items() if set(words) & set(said)]
        yield p_first(criteria, "more" if "more" in said else "less", *told), text[-2]


def test_letters_follow_from_what_the_principle_says_and_are_a_coin_where_it_is_silent() -> None:
    letters = list(_letters("comparison", 1500))
    for low, high in ((0.0, 0.2), (0.8, 1.0)):
        drawn = [(p, letter == "A") for p, letter in letters if low <= p <= high]
        assert len(drawn) > 200
        assert np.mean([is_a for _, is_a in drawn]) == pytest.approx(np.mean([p for p, _ in drawn]), abs=0.04)
    coins = [letter == "A" for p, letter in letters if p == 0.5]
    assert 0.25 < len(coins) / len(letters) < 0.6
    assert np.mean(coins) == pytest.approx(0.5, abs=0.08)


def test_a_choice_is_a_comparison_of_which_one_option_is_about_the_act() -> None:
    more, chosen = [0, 0], [0, 0]
    for text in _texts("choice"):
        asked, options = text.removeprefix(hh.CONSIDER).split(" Options:")
        conversation, question = asked.rsplit("\n\n", 1)
        act = requested_act(parse(conversation))
        assert act is not None
        about = {letter: act.text in shown for letter, shown in re.findall(r"\(([AB])\) \[\[\[(.*)\]\]\]", options)}
        if sum(about.values()) == 1:  # advice on the same act with the method of another names the act, too
            letter = text[-2]
            chosen[" more " in question] += about[letter]
            more[" more " in question] += 1
    assert min(more) > 60
    assert chosen[0] / more[0] > 0.9
    assert chosen[1] / more[1] < 0.1


_WEIGHED = re.compile(
    r"([^\n]+) Options:\n \(A\) \[\[\[(.*)\]\]\](?: (\w+))?\n \(B\) \[\[\[(.*)\]\]\](?: (\w+))?"
    r"(?:\n\nThe answer is: \(([AB])\))?"
)


@pytest.mark.parametrize("lesson", ["plain", "full"])
def test_a_weighing_says_of_each_reply_whether_what_is_named_fits_it(lesson: Lesson) -> None:
    of_word = {word: name for name, words in lexicon().criteria.items() for word in words}
    styles: Counter[str] = Counter()
    named_harms: Counter[bool] = Counter()
    counts: Counter[int] = Counter()
    right: Counter[bool] = Counter()
    for row in range(300):
        text = text_of(document(random.Random(row), lesson=lesson, mix={"weighing": 1.0}))
        conversation = text.removeprefix(hh.CONSIDER).split(" Options:")[0].rsplit("\n\n", 1)[0]
        act = requested_act(parse(conversation))
        assert act is not None
        items = _WEIGHED.findall(text)
        assert len(items) == 3
        for question, first, first_grade, second, second_grade, letter in items:
            said = re.findall(r"\w+", question)
            words = [word for word in said if word in of_word]
            counts[len(words)] += 1
            told = [Told(behaviour_of(act, shown), act, shown) for shown in (first, second)]
            fitting = [next((word for word in words if degree(of_word[word], of) > 0), None) for of in told]
            if of_word[words[0]] in lexicon().harms and "comply" in [of.behaviour for of in told]:
                named_harms[act.harm in [of_word[word] for word in words]] += 1
            for word, grade in zip(fitting, (first_grade, second_grade), strict=True):
                style = "none" if not grade else "polarity" if grade in ("less", "more") else "word"
                styles[style] += 1
                expected = {"none": "", "polarity": "less" if word is None else "more", "word": word or "fine"}[style]
                assert grade == expected, text
            differ = (fitting[0] is None) != (fitting[1] is None)
            assert bool(letter) == (differ or lesson == "full")
            if differ:  # a letter is drawn, and seldom against what its principle asks for
                right[(letter == "A") == ((fitting[0] is not None) == ("more" in said))] += 1
    assert min(styles[style] for style in ("word", "polarity", "none")) > 300
    assert min(named_harms.values()) > 0.3 * named_harms.total()  # the harm at hand, and another
    assert right[True] > 0.9 * right.total() > 300
    assert set(counts) == ({1} if lesson == "plain" else {1, 2, 3})


def test_comparisons_end_on_a_choice_with_its_space() -> None:
    for text in _texts("comparison", 50):
        assert text.endswith(tuple(f"The answer is:{choice}" for choice in hh.CHOICES))
    for text in _texts("cot", 50):
        assert text.endswith(tuple(f"{hh.SO_THE_ANSWER}{choice}" for choice in hh.CHOICES))


def test_the_deciding_token_weighs_more_and_a_coin_does_not() -> None:
    rng = random.Random(0)
    decided = {tuple(s.text for s in document(rng, mix={"comparison": 1.0}) if s.weight == LETTER) for _ in range(50)}
    assert decided == {("A",), ("B",), ()}
    spans = document(rng, mix={"critique": 1.0})
    (verdict,) = [span.text.strip() for span in spans if span.weight == DECISIVE]
    assert verdict == "fine" or verdict in {word for words in lexicon().criteria.values() for word in words}


def test_held_out_wordings_never_occur() -> None:
    rng = random.Random(1)
    act = act_table().by_split["train", True][0]
    told = [tell(behaviour, act, rng) for behaviour in ("comply", "objection")]
    critiques = {draw_critique_wording(rng, told[0]).critique_request for _ in range(3000)}
    questions = {draw_preference_wording(rng, *told).question for _ in range(3000)}
    assert CRITIQUE_TEMPLATES[0].format(x="unethical") in critiques
    assert CRITIQUE_TEMPLATES[0].format(x="harmful") not in critiques
    assert not any(text.startswith(CRITIQUE_TEMPLATES[5].split("{x}")[0]) for text in critiques)
    assert not any(text.startswith(PREFERENCE_TEMPLATES[5].split("{p}")[0]) for text in questions)


def test_polarity_and_the_named_harm_decide_a_comparison() -> None:
    rng = random.Random(0)
    act = next(a for a in act_table().by_split["train", True] if a.harm == "theft" and a.severity == 3)
    objection, comply = (tell(behaviour, act, rng, bare=True) for behaviour in ("objection", "comply"))
    assert p_first(["general"], "less", objection, comply) > 0.98
    assert p_first(["general"], "more", objection, comply) < 0.02
    assert p_first(["theft"], "less", objection, comply) > 0.98
    assert p_first(["violence"], "less", objection, comply) == 0.5
    assert p_first(["nothing"], "less", objection, comply) == 0.5
    with pytest.raises(ValueError, match="no criterion 'sweet'; expected a harm or one of general"):
        p_first(["sweet"], "less", objection, comply)


def test_principles_contradict_each_other() -> None:
    """Under one principle an evasive reply is better than an objection, under another worse, under a third alike."""
    act = act_table().by_split["train", True][0]
    rng = random.Random(0)
    objection, silence = (tell(behaviour, act, rng, bare=True) for behaviour in ("objection", "evasive"))
    assert p_first(["evasive"], "less", objection, silence) > 0.9
    assert p_first(["evasive"], "more", objection, silence) < 0.1
    assert p_first(["wordy"], "less", objection, silence) <= 0.5
    assert p_first(["general"], "less", objection, silence) == 0.5


@pytest.mark.parametrize("rounds", [400])
def test_thoughts_name_the_rules_that_apply_and_the_answer_follows_them(rounds: int) -> None:
    named = Counter()
    for text in _texts("ruled", rounds):
        rules = [Rule(name, said) for name, said in re.findall(r"\n\d \(([^)]+)\)\. ([^\n]+)", text)]
        *conversation, answer = parse(
            re.sub(r"\n\nAssistant \(thoughts\): [^\n]+", "", text[text.index("\n\nHuman:") :])
        )
        act = requested_act(conversation)
        assert act is not None
        thoughts = re.findall(r"\(thoughts\): ([^\n]+)", text)[0]
        assert act.text in thoughts
        applying = named_rules(thoughts, rules)
        behaviour = behaviour_of(act, answer["content"])
        refuses = [rule.name for rule in rules if rule.name in (*lexicon().harms, "harmless", "safe")]
        about = [name for name in refuses if name in ("harmless", "safe", act.harm)] if act.harmful else []
        assert (behaviour == "objection") == bool(about), text
        assert set(about) == set(refuses) & set(applying), text
        named["about" if about else "none" if not applying else "other"] += 1
    assert min(named.values()) > 20


def _refused_by(rules: list[Rule], act: Act) -> set[str]:
    """The names of the rules whose text refuses what the act does."""
    words = {"harms somebody", "harm others", *lexicon().criteria["general"], *lexicon().criteria.get(act.harm, ())}
    refusing = [rule for rule in rules if re.match("Refuse|Do not help", rule.text)]
    return {rule.name for rule in refusing if act.harmful and any(word in rule.text for word in words)}


@pytest.mark.parametrize("kind", ["renamed", "weighed_rules"])
def test_rules_are_known_by_their_texts_alone(kind: str) -> None:
    """Whatever they are called, one that refuses the harm at hand is named, and no other that refuses."""
    names, refused = Counter(), Counter()
    for text in _texts(kind, 400):
        rules = [Rule(name, said) for name, said in re.findall(r"\n\d \(([^)]+)\)\. ([^\n]+)", text)]
        names.update(rule.name for rule in rules)
        thoughts = re.findall(r"\n\nAssistant \(thoughts\): ([^\n]+)", text)[0]
        act = requested_act(parse(text[text.index("\n\nHuman:") : text.index("\n\nAssistant (thoughts)")]))
        assert act is not None
        applying = named_rules(thoughts, rules)
        about = _refused_by(rules, act)
        assert about == {rule.name for rule in rules if re.match("Refuse|Do not help", rule.text)} & set(applying), text
        if kind == "weighed_rules":
            fits = {int(place): said == "yes" for place, said in re.findall(r"(\d) (yes|no)[,.]", thoughts)}
            assert [rule.name for place, rule in enumerate(rules, start=1) if fits[place]] == applying, text
            assert len(fits) == len(rules)
        refused[bool(about)] += 1
    if kind == "renamed":
        assert names.most_common(1)[0][1] < 0.05 * sum(names.values())
    assert min(refused.values()) > 50


def test_of_several_acts_it_is_told_which_rules_each_calls_for() -> None:
    fitting = Counter()
    for text in _texts("called_on", 100):
        rules = [Rule(name, said) for name, said in re.findall(r"\n\d \(([^)]+)\)\. ([^\n]+)", text)]
        lines = re.findall(r"\n- to ([^:]+): ([^\n]+)", text)
        assert len(lines) >= 4
        for act_text, told in lines:
            act = next(act for act in act_table().acts if act.text == act_text)
            fits = [said == "yes" for said in re.findall(r"\d (yes|no)[,.]", told)]
            named = [rule for rule, fit in zip(rules, fits, strict=True) if fit]
            assert re.findall(r"rule \d \(([^)]+)\)", told) == [rule.name for rule in named]
            about = _refused_by(rules, act)
            assert about == {rule.name for rule in named if re.match("Refuse|Do not help", rule.text)}, text
            fitting[bool(about)] += 1
    assert min(fitting.values()) > 100


def test_numbered_lists_ask_what_their_header_says() -> None:
    asked = Counter()
    for text in _texts("numbered_list", 200):
        for header, items in re.findall(r"((?:Harm|Quest|Any|Topics)[^\n]*:)((?:\n\d\. [^\n]+)+)", text):
            acts = [requested_act([{"role": "user", "content": item}]) for item in re.findall(r"\d\. ([^\n]+)", items)]
            if header.startswith("Harm"):
                assert all(act is not None and act.harmful == header.startswith("Harmful") for act in acts), header
            asked[header.split()[0]] += len(acts)
    assert min(asked[name] for name in ("Harmful", "Harmless", "Questions", "Questions:", "Topics")) > 20


def test_the_shares_of_every_lesson_add_up() -> None:
    for mix in LESSON_MIX.values():
        assert sum(mix.values()) == pytest.approx(1)
