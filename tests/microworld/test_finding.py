"""The documents that teach to find a word again say what is true."""

import random
import re
from itertools import pairwise

from cai_kedro.core.conversation import user
from cai_kedro.microworld.finding import echo, graded_recall, matching, members, recall
from cai_kedro.microworld.oracle import behaviour_of, requested_act
from cai_kedro.microworld.spans import DECISIVE, Document, text_of

_RECALLED = re.compile(
    r"(.*) Options:\n \(A\) \[\[\[.*\]\]\] (\w+)\n \(B\) \[\[\[.*\]\]\] (\w+)\n\nThe answer is: \((A|B)\)?"
)


def _verdicts(spans: Document) -> list[tuple[str, str]]:
    """The text in front of each verdict, and the verdict."""
    return [(before.text.strip(), span.text.strip()) for before, span in pairwise(spans) if span.weight == DECISIVE]


def test_an_echo_repeats_its_words_in_one_of_two_orders() -> None:
    orders = set()
    for number in range(50):
        order, said, again, _ = text_of(echo(random.Random(number))).replace(":", ".").split(".")
        assert again.split() == (said.split() if order == "Again" else said.split()[::-1])
        orders.add(order)
    assert orders == {"Again", "Backwards"}


def test_a_member_is_a_word_that_was_said() -> None:
    seen = set()
    for number in range(50):
        spans = members(random.Random(number))
        said = spans[0].text.removeprefix("Words:").strip().rstrip(".").split()
        for word, verdict in _verdicts(spans):
            assert verdict == ("same" if word in said else "other")
            seen.add(verdict)
    assert seen == {"same", "other"}


def test_a_text_matches_if_it_is_about_the_act_in_all_that_it_says() -> None:
    counts = {"same": 0, "other": 0}
    for number in range(200):
        spans = matching(random.Random(number))
        asked = spans[0].text
        act = requested_act([user(asked)])
        assert act is not None
        assert act.split == "train"
        for text, verdict in _verdicts(spans):
            whole_reply = text.endswith(".")
            fits = behaviour_of(act, text) in ("right", "comply", "objection") if whole_reply else act.text in text
            assert verdict == ("same" if fits else "other"), (asked, text)
            counts[verdict] += 1
    assert 0.35 < counts["same"] / sum(counts.values()) < 0.65


def test_the_letter_is_that_of_the_option_which_the_word_of_the_question_marks() -> None:
    letters, polarities = [], 0
    for number in range(100):
        for item in text_of(recall(random.Random(number))).split(")\n\n"):
            found = _RECALLED.fullmatch(item)
            assert found is not None, item
            question, first, second, letter = found.groups()
            marked, other = (first, second) if letter == "A" else (second, first)
            words = re.findall(r"\w+", question)
            assert marked in words, item
            polarities += {marked, other} == {"less", "more"}
            letters.append(letter)
    assert 0.4 < letters.count("A") / len(letters) < 0.6
    assert 0.4 < polarities / len(letters) < 0.6


def test_grades_say_which_option_the_word_marks_and_no_letter_follows_where_they_are_alike() -> None:
    alike = 0
    for number in range(50):
        for item in text_of(graded_recall(random.Random(number))).split("\n\n"):
            if " Options:" in item:
                grades = re.findall(r"\]\]\] (\w+) (same|other)", item)
                words = re.findall(r"\w+", item.split(" Options:")[0])
                assert len(grades) == 2
                assert all(grade == "other" or mark in words for mark, grade in grades)
                same = [grade == "same" for _, grade in grades]
            else:
                assert re.fullmatch(r"The answer is: \((A|B)\)", item)
                assert same[0] != same[1]
                assert item[-2] == ("A" if same[0] else "B")
            alike += " Options:" in item and same[0] == same[1]
    assert alike > 30
