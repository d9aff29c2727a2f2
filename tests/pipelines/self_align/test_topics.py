"""Topics out of continued lists."""

import pandas as pd

from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.self_align.self_instruct.topics import TopicParams, choose_topics
from tests.pipelines.self_align.builders import lists, question_types

PARAMS = TopicParams(keep=3, max_words=3)


def chosen(
    *rows: tuple[str, str], cut: bool = False, params: TopicParams = PARAMS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    given = lists(*((name, None, text) for name, text in rows), finish_reason="length" if cut else "stop")
    topics, filtered = choose_topics(given, question_types(cannot=("photo",)), ["rich uncle"], params)
    return check_table("topics", topics), check_table("filtered", filtered)


def test_given_topics_come_first_in_the_order_of_the_types() -> None:
    topics, filtered = chosen(("kind", "snow\n4. the sea."), ("mean", "ice"))
    assert list(topics.itertuples(index=False, name=None)) == [
        ("mean", "dogs", "given"),
        ("mean", "tea", "given"),
        ("mean", "ice", "generated"),
        ("kind", "cats", "given"),
        ("kind", "rain", "given"),
        ("kind", "snow", "generated"),
        ("kind", "the sea", "generated"),
    ]
    assert filtered.empty


def test_each_filter_tells_what_it_took() -> None:
    topics, filtered = chosen(
        ("mean", "my old grey cat\n4. (ice\n5. Zoë\n6. a photo\n7. rich uncle\n8. The Dog\n9. Snow\n10. snows"),
        ("mean", "Here are more:\n3. fog\nI hope that helps\n4. mud\n5. oil"),
    )
    assert list(topics[topics["source"] == "generated"]["topic"]) == ["Snow", "fog", "mud"]
    took = [(row.text, row.filter, row.like if isinstance(row.like, str) else None) for row in filtered.itertuples()]
    assert took == [
        ("my old grey cat", "topic_words", None),
        ("(ice", "punctuation", None),
        ("Zoë", "non_ascii", None),
        ("a photo", "cannot", None),
        ("rich uncle", "held_out", None),
        ("The Dog", "topic_double", "dogs"),
        ("snows", "topic_double", "Snow"),
        ("Here are more:", "unnumbered", None),
        ("I hope that helps", "unnumbered", None),
        ("oil", "topic_limit", None),
    ]
    assert set(filtered["line"]) == {"topic"}
    assert set(filtered["question_type"]) == {"mean"}


def test_the_last_topic_is_dropped_where_the_limit_cut_it() -> None:
    topics, filtered = chosen(("kind", "snow\n4. the"), cut=True)
    assert "the" not in set(topics["topic"])
    assert list(filtered["filter"]) == ["cut"]


def test_types_have_topics_of_their_own() -> None:
    topics, _ = chosen(("mean", "snow"), ("kind", "snow"))
    assert list(topics[topics["topic"] == "snow"]["question_type"]) == ["mean", "kind"]


def test_without_lists_there_are_the_given_topics() -> None:
    topics, filtered = chosen()
    assert set(topics["source"]) == {"given"}
    assert filtered.empty
