"""The filters of questions."""

import pandas as pd
import pytest

from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.self_align.self_instruct.questions import FilterParams, filter_questions
from cai_kedro.pipelines.self_align.self_instruct.topics import TopicParams, choose_topics
from tests.pipelines.builders import prompt_table
from tests.pipelines.self_align.builders import lists, question_types

PARAMS = FilterParams(min_words=4, max_words=12, max_rouge=0.7)
SEEDS = ["Name five rivers in Asia."]
NOTHING = lists()


def filtered_from(
    questions: pd.DataFrame = NOTHING, tasks: pd.DataFrame = NOTHING, topics: pd.DataFrame = NOTHING
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    types = question_types(cannot=("photo", "files"))
    held_out = prompt_table(["x"], "e")
    held_out["messages"] = [[user("Where do whales sleep at night?"), assistant("In the sea."), user("Why?")]]
    chosen, dropped = choose_topics(topics, types, [], TopicParams(keep=5, max_words=3))
    kept, filtered, counts = filter_questions(
        questions, tasks, chosen, dropped, types, SEEDS, ["old barn"], PARAMS, eval_prompts=held_out
    )
    return (
        check_table("self_align_questions", kept),
        check_table("filtered", filtered),
        check_table("counts", counts),
    )


def texts(questions: pd.DataFrame) -> list[str]:
    return [messages[0]["content"] for messages in questions["messages"]]


def test_questions_keep_where_they_are_from() -> None:
    questions, filtered, _ = filtered_from(
        lists(("mean", "the dog", "How do I scare the dog?\n2. Why does the  dog bark?")),
        lists((None, None, "Sing a song about bread.")),
    )
    assert texts(questions) == ["How do I scare the dog?", "Why does the dog bark?", "Sing a song about bread."]
    assert list(questions["source"]) == ["topic_guided", "topic_guided", "self_instruct"]
    assert list(questions["topic"].fillna("-")) == ["the dog", "the dog", "-"]
    assert list(questions["question_type"].fillna("-")) == ["mean", "mean", "-"]
    assert filtered.empty
    again, _, _ = filtered_from(tasks=lists((None, None, "Knit me a red scarf.\n4. How do I scare the dog?")))
    assert again["prompt_id"][1] == questions["prompt_id"][0], "the id is of the text"


LINES = {
    "Too short here": "words",
    " ".join(["long"] * 13): "words",
    '"Quoted text from the start': "punctuation",
    "What is a café au lait?": "non_ascii",
    "What do you see in this Photo?": "cannot",
    "How do I burn the OLD  barn down?": "held_out",
    "Where do whales sleep at night": "evaluation",
    "Name five rivers in Africa.": "rouge",
    "Why kick the dog?": "rouge",
    "Why does the dog bark so late?": "rouge",
}


def test_each_filter_tells_what_it_took() -> None:
    lines = "\n5. ".join(["Why does the dog bark?", *LINES, "Profiles are no files? They are not."])
    questions, filtered, counts = filtered_from(lists(("mean", "the dog", f"{lines}\nThat is all of them.")))
    assert texts(questions) == ["Why does the dog bark?"]
    took = dict(zip(filtered["text"], filtered["filter"], strict=True))
    assert took == {
        **{" ".join(text.split()): fault for text, fault in LINES.items()},
        "Profiles are no files? They are not.": "cannot",
        "That is all of them.": "unnumbered",
    }
    like = {row.text: (row.like, row.rouge) for row in filtered.itertuples() if isinstance(row.like, str)}
    assert like == {
        "Where do whales sleep at night": ("Where do whales sleep at night?", 1.0),
        "Name five rivers in Africa.": ("Name five rivers in Asia.", 0.8),
        "Why kick the dog?": ("Why kick the dog?", 1.0),
        "Why does the dog bark so late?": ("Why does the dog bark?", pytest.approx(10 / 12)),
    }
    by_outcome = dict(zip(counts["outcome"], counts["lines"], strict=True))
    took_by = {"words": 2, "punctuation": 1, "non_ascii": 1, "cannot": 2, "held_out": 1, "evaluation": 1, "rouge": 3}
    assert by_outcome == {"kept": 1, "unnumbered": 1, **took_by}


def test_the_last_question_is_dropped_where_the_limit_cut_it() -> None:
    cut = lists(("mean", "tea", "Who drinks this tea now?\n2. Who drinks that"), finish_reason="length")
    questions, filtered, _ = filtered_from(cut)
    assert texts(questions) == ["Who drinks this tea now?"]
    assert list(filtered["filter"]) == ["cut"]


def test_a_dropped_line_takes_no_other_with_it() -> None:
    """The second is like the first, the third is like the second alone."""
    lines = (
        "one two three four five six seven eight\n2. one two three four five six x y\n3. three four five six x y z v"
    )
    questions, filtered, _ = filtered_from(lists(("mean", "tea", lines)))
    assert texts(questions)[1] == "three four five six x y z v"
    assert list(filtered["rouge"]) == [0.75]


def test_topics_are_told_and_counted_too() -> None:
    topics = lists(("mean", None, "ice\n4. Dogs"), ("kind", None, "snow"))
    _, filtered, counts = filtered_from(lists(("mean", "ice", "Why do people eat ice?")), topics=topics)
    assert list(filtered[["line", "text", "filter"]].itertuples(index=False, name=None)) == [
        ("topic", "Dogs", "topic_double")
    ]
    rows = {(row.line, row.question_type, row.outcome): row.lines for row in counts.itertuples()}
    assert rows == {
        ("topic", "mean", "kept"): 1,
        ("topic", "kind", "kept"): 1,
        ("topic", "mean", "topic_double"): 1,
        ("question", "mean", "kept"): 1,
    }


def test_a_run_without_a_question_ends_with_a_sentence() -> None:
    with pytest.raises(GateClosed, match=r"no question is left for SELF-ALIGN, of 2 lines \(2 words\): look at"):
        filtered_from(lists(("mean", "tea", "No\n2. Yes")))
    with pytest.raises(GateClosed, match=r"of 0 lines \(the model wrote none\)"):
        filtered_from()
