"""Every reader of foreign files against mutated bytes and rows: never a silent change, never a fault without its place.

Each example either loads as a second, plain reading of the same bytes says (written here, with nothing of the package's
readers), or is refused by an error of the reader itself, on one line that names the file. Both must
happen often, or the examples would show nothing.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from cai_kedro.core.asks import Comparison
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.layouts.hh import text_of
from cai_kedro.core.shards import run_shard
from cai_kedro.datasets.comparison_items_dataset import ComparisonItemsDataset
from cai_kedro.datasets.constitution_dataset import ConstitutionDataset
from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.datasets.recorded_raters import RecordedRaters
from cai_kedro.datasets.recorded_referee import COLUMNS, RecordedReferee
from cai_kedro.datasets.shard_store import ShardStore
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.weight_files import INDEX, SINGLE
from tests.datasets.test_shards_dataset import Maker, plan

Rows = dict[int, dict[str, Any]]

STEADY = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}

# --- mutated texts, rows and bytes ---

SNIPPETS = [
    "Human:",
    "\n\nHuman: ",
    "\n\nAssistant: ",
    "\r\n",
    "\r",
    "\0",
    "\ud83d",
    "😀",
    ",",
    '"',
    ";",
    "hi",
    "=1",
    " ",
]
SNIPPETS += ["\u2028", "<eos>", "\x85", "\t", "\ufeff", "]]]", "0,5", "\n \n", "\x1b[31m", "\n\nCritiqueRequest:"]
PIECES = [b"", b'"', b"'", b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xe9", b"\\ud83d", b"NaN", b"1e999", b"null"]
PIECES += [
    b"\\n\\nHuman: ",
    b"\n\nAssistant: ",
    b";",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\t",
    b"0,5",
    b"\xef\xbb\xbf",
    b" ",
]
PIECES += [
    b"\xe2\x80\xa8",
    b"\\u0000",
    b'"prompt": "x", ',
    b"- ",
    b"&a ",
    b"*a",
    b"!!binary ",
    b"#",
    b"1_0",
    b"\\r",
    b"-1",
]

PLAIN = st.sampled_from(["Hello there.", "Why, though?", "No.", "Yes; or\nno.", '"So"', "\u2028é😀"])
PLAIN |= st.integers(0, 999).map("Question {}?".format)
TEXT = PLAIN | PLAIN | PLAIN | st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=4), max_size=4).map("".join)
WHOLE = (
    st.sampled_from([1, 3, 3, 2])
    .flatmap(lambda n: st.lists(TEXT, min_size=n, max_size=n))
    .map(lambda turns: "".join(f"\n\n{('Human', 'Assistant')[i % 2]}: {text}" for i, text in enumerate(turns)))
)
ODD = st.sampled_from([None, 1, 1.0, 0.5, True, float("nan"), [], {}, "", ["x"], 10**400])
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "user"]), "content": TEXT | ODD}), max_size=3
)
CONVERSATION = {"prompt": TEXT | TEXT | WHOLE}
ID = st.sampled_from(["p1", "p2", "p3", "p4", 1, "1", " 1", 1.0, None, "a\x1b[31mb"])
EDIT = st.tuples(st.integers(0, 3000), st.integers(0, 5), st.sampled_from(PIECES))
EDITS = st.sampled_from([0, 0, 1, 1, 2]).flatmap(lambda n: st.lists(EDIT, min_size=n, max_size=n))


def rows_of(needed: dict[str, Any], optional: dict[str, Any]) -> Any:
    """Rows that are mostly whole; one in five has an odd value somewhere."""
    whole = st.fixed_dictionaries(needed, optional=optional)
    fewer = st.fixed_dictionaries(needed)
    odd = st.tuples(whole, st.sampled_from([*needed, *optional]), ODD).map(lambda t: {**t[0], t[1]: t[2]})
    return st.lists(fewer | fewer | whole | whole | odd, min_size=1, max_size=3)


def mutated(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, cut, piece in edits:
        at = place % (len(content) + 1)
        content = content[:at] + piece + content[at + cut :]
    return content


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names, *[["" if row.get(name) is None else str(row.get(name)) for name in names] for row in rows]]

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text

    return "\n".join(",".join(map(cell, line)) for line in table).encode("utf-8", errors="surrogatepass")


# --- a second reading ---


def lf(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("\r\n?", "\n", value)
    if isinstance(value, list):
        return [lf(one) for one in value]
    return {lf(key): lf(one) for key, one in value.items()} if isinstance(value, dict) else value


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a key that stands twice was read"
    return dict(pairs)


def json_lines(content: bytes) -> Rows:
    rows = {}
    for number, line in enumerate(re.split("\r\n|\r|\n", content.decode("utf-8-sig")), start=1):
        if line.strip(" \t"):
            row = json.loads(line, object_pairs_hook=once)
            whole = json.dumps(row, ensure_ascii=False, allow_nan=False).encode()  # no half characters, no NaN
            assert b"\\u0000" not in whole
            rows[number] = {key: value for key, value in lf(row).items() if value is not None}
    return rows


def csv_rows(content: bytes) -> Rows:
    """RFC 4180, one character after the other."""
    text = content.decode("utf-8-sig")
    assert "\0" not in text
    records: list[tuple[int, list[str]]] = []
    cells, cell, state, line, start = [], "", "start", 1, 1
    for char in [*re.findall("\r\n|(?s:.)", text), "\n"]:
        ends = char in ("\r\n", "\r", "\n")
        if state == "quoted":
            cell, state = (cell, "closed") if char == '"' else (cell + char, "quoted")
        elif state == "closed" and char == '"':
            cell, state = cell + '"', "quoted"
        elif ends or char == ",":
            if cells or state != "start" or char == ",":
                cells.append(cell)
            cell, state = "", "start"
            if ends:
                records += [(start, cells)] if cells else []
                cells, start = [], line + 1
        elif state == "start" and char == '"':
            state = "quoted"
        else:
            assert state != "closed", "text behind a closing quote was read"
            cell, state = cell + char, "open"
        line += ends
    assert state == "start", "an open quote was read"
    (_, names), *rest = records
    names = [name.strip() for name in names]
    assert len(set(filter(None, names))) == len(list(filter(None, names)))
    assert all(len(found) == len(names) for _, found in rest)
    return {at: {n: lf(c) for n, c in zip(names, found, strict=True) if n and c} for at, found in rest}


def turns(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [(turn["role"], turn["content"].strip()) for turn in value]
    text = "\n\n" + value.strip()
    if not re.match("\n\n(Human|Assistant):", text):
        return [("user", value.strip())]
    _, *parts = re.split("\n\n(Human|Assistant):", text)
    read = [("user" if who == "Human" else "assistant", said.strip()) for who, said in zip(parts[::2], parts[1::2])]  # noqa: B905
    return read[:-1] if len(read) > 1 and read[-1] == ("assistant", "") else read


def conversation(row: dict[str, Any]) -> list[tuple[str, str]]:
    return turns(row["messages"] if "messages" in row else row["prompt"])


def pairs_of(messages: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in as_messages(messages)]


def flat(text: str) -> str:
    return "".join(text.split())


def laid_out(messages: Any, answer: str) -> str:
    said = [*pairs_of(messages), ("assistant", answer)]
    return "".join(f"{'Human' if role == 'user' else 'Assistant'}:{flat(text)}" for role, text in said)


def check_answers(row: dict[str, Any], messages: Any, chosen: str, rejected: str) -> None:
    """What was read of a pair is all of it, in either form, and it is one conversation with two answers."""
    whole = all(re.match(r"\s*(Human|Assistant):", row[key]) for key in ("chosen", "rejected"))
    for key, answer in (("chosen", chosen), ("rejected", rejected)):
        if whole:
            assert laid_out(messages, answer) == flat(row[key])
        else:
            assert answer == row[key].strip()
    if "prompt" in row or "messages" in row:
        assert pairs_of(messages) == conversation(row)
    assert pairs_of(messages)[-1][0] == "user"
    assert all(text for _, text in pairs_of(messages))
    assert chosen != rejected


# --- the property ---


#: A line or an entry; what is wrong with a file as a whole; a literal that stands in it; a file of a model.
PLACE = re.compile(
    r"\blines? \d|\brows? \d|entry \d|is empty|holds no|there is no|expected|"
    r"the number|the key or id|of a key|model directory|weights|\w\.json"
)


class Seen(Counter[str]):
    """Counts what became of the examples."""

    def read(self, load: Callable[[], Any], path: Path) -> Any:
        """Return what a reader loads, None where it refuses; the refusal is checked."""
        try:
            loaded = load()
        except (DatasetError, ValueError) as error:
            message = str(error)
        else:
            self["loaded"] += 1
            return loaded
        assert "Failed while" not in message, "the reader has a traceback that Kedro had to catch"
        assert str(path) in message
        assert "\n" not in message
        assert PLACE.search(message.replace(str(path), "")), message
        self["refused"] += 1
        return None

    def both_happened(self, at_least: int) -> None:
        assert self["loaded"] >= at_least, self
        assert self["refused"] >= at_least, self


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="cai_kedro")  # what is left out is counted in thousands of warnings


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Both outcomes are common in every test of this file."""
    counted = Seen()
    yield counted
    counted.both_happened(10)


SUFFIX = pytest.mark.parametrize(
    ("suffix", "write", "second"), [(".jsonl", as_json_lines, json_lines), (".csv", as_csv, csv_rows)]
)


@SUFFIX
def test_prompts(
    tmp_path: Path, seen: Seen, suffix: str, write: Callable[[Any], bytes], second: Callable[[bytes], Rows]
) -> None:
    path = tmp_path / f"p{suffix}"
    more = {"messages": TURNS} if suffix == ".jsonl" else {}

    @settings(max_examples=150, **STEADY)
    @given(rows_of(CONVERSATION, {"prompt_id": ID, "split": TEXT, "note": TEXT, **more}), EDITS)
    def holds(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(write(rows), edits))
        table = seen.read(PromptsDataset(filepath=path).load, path)
        if table is None:
            return
        expected = list(second(path.read_bytes()).values())
        assert [pairs_of(cell) for cell in table["messages"]] == [conversation(row) for row in expected]
        assert table["split"].tolist() == [row.get("split", "train").strip() for row in expected]
        for prompt_id, row in zip(table["prompt_id"], expected, strict=True):
            assert "prompt_id" not in row or prompt_id == str(row["prompt_id"]).strip()
            assert not isinstance(row.get("prompt_id"), float | bool)
        assert table["prompt_id"].is_unique
        for cell in table["messages"]:
            assert not any(re.search("\n\n(Human|Assistant|CritiqueRequest):", text) for _, text in pairs_of(cell))

    holds()


ANSWERS = {"chosen": TEXT | WHOLE, "rejected": TEXT | WHOLE}
PAIR = rows_of(
    {**CONVERSATION, **ANSWERS, "objective": st.sampled_from(["helpfulness", "harmlessness"])}, {"prompt_id": ID}
)
WHOLE_PAIR = st.lists(
    st.tuples(WHOLE, TEXT, TEXT).map(
        lambda t: {
            "chosen": f"{t[0]}\n\nAssistant: {t[1]}",
            "rejected": f"{t[0]}\n\nAssistant: {t[2]}",
            "objective": "harmlessness",
        }
    ),
    min_size=1,
    max_size=3,
)


@SUFFIX
def test_comparisons(
    tmp_path: Path, seen: Seen, suffix: str, write: Callable[[Any], bytes], second: Callable[[bytes], Rows]
) -> None:
    path = tmp_path / f"c{suffix}"

    @settings(max_examples=150, **STEADY)
    @given(PAIR | WHOLE_PAIR, EDITS)
    def holds(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(write(rows), edits))
        raters = seen.read(lambda: RecordedRaters(path), path)
        if raters is None:
            return
        expected = second(path.read_bytes())
        left_out = set(raters.quarantine["line"])
        assert left_out < set(expected)
        regular = [row for line, row in expected.items() if line not in left_out]
        texts = ("messages", "prompt", "prompt_id", "objective", "chosen", "rejected")
        once = {json.dumps([str(row.get(key)).strip() for key in texts]): row for row in reversed(regular)}
        table = raters.comparisons
        assert len(table) <= len(regular)
        for row in table.itertuples():
            sides = (row.response_a, row.response_b) if row.p_a_better else (row.response_b, row.response_a)
            for given_row in once.values():
                try:
                    check_answers(given_row, row.messages, *sides)
                except AssertionError:
                    continue
                if given_row["objective"].strip() == row.objective:
                    break
            else:
                raise AssertionError(f"{row} stands nowhere in the file")
            for side in sides:
                assert side == side.strip() != ""
                assert not re.search("\n\n(Human|Assistant|CritiqueRequest):", side)
        # every regular row stands in the table, equal ones once
        assert len(table) == len(
            {(row.prompt_id, row.objective, row.response_a, row.response_b) for row in table.itertuples()}
        )
        answers = {flat(text) for row in table.itertuples() for text in (row.response_a, row.response_b)}
        for row in regular:
            for key in ("chosen", "rejected"):
                assert any(flat(row[key]).endswith(answer) for answer in answers)

    holds()


# --- the other forms: one meaning, written in several ways ---


def as_json_list(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows).encode()


def as_turns(messages: Any, keys: tuple[str, str], names: dict[str, str]) -> Any:
    return [{keys[0]: names.get(role, role), keys[1]: text} for role, text in messages]


SAID = PLAIN.map(str.strip).filter(bool)
ASKED_TURNS = st.sampled_from([1, 3]).flatmap(
    lambda n: st.lists(SAID, min_size=n, max_size=n).map(
        lambda texts: [(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    )
)
STYLE = st.sampled_from([(("role", "content"), {}), (("from", "value"), {"user": "human", "assistant": "gpt"})])


def in_form(form: str, messages: Any, better: str, worse: str, style: Any) -> dict[str, Any]:
    said = as_turns(messages, *style)
    answers = {
        name: as_turns([("assistant", text)], *style) for name, text in (("chosen", better), ("rejected", worse))
    }
    rated = [{"response": better, "rating": "4"}, {"response": worse, "rating": 1.5}]
    return {
        "explicit": {"prompt": said, **answers},
        "implicit": {name: [*said, *turns] for name, turns in answers.items()},
        "ratings": {"messages": said, "completions": rated},
        "choice": {"prompt": said, "response_a": worse, "response_b": better, "preferred": "b"},
    }[form]


@pytest.mark.parametrize("form", ["explicit", "implicit", "ratings", "choice"])
@pytest.mark.parametrize(("suffix", "write"), [(".jsonl", as_json_lines), (".json", as_json_list)])
def test_comparisons_in_other_forms(
    tmp_path: Path, seen: Seen, suffix: str, write: Callable[[Any], bytes], form: str
) -> None:
    """Whole rows say what they were written from; mutated ones say something of the file, or are refused."""
    path = tmp_path / f"c{suffix}"
    one = st.tuples(ASKED_TURNS, SAID, SAID, STYLE)

    @settings(max_examples=60, **STEADY)
    @given(st.lists(one, min_size=1, max_size=3), EDITS)
    def holds(given_rows: Any, edits: list[tuple[int, int, bytes]]) -> None:
        content = mutated(write([in_form(form, *row) for row in given_rows]), edits)
        path.write_bytes(content)
        raters = seen.read(lambda: RecordedRaters(path, objective="helpfulness"), path)
        if raters is None:
            return
        read = [
            (pairs_of(row.messages), *((row.response_a, row.response_b)[:: 1 if row.p_a_better else -1]))
            for row in raters.comparisons.itertuples()
        ]
        text = flat(json.dumps(lf(json_file(content)), ensure_ascii=False))
        for messages, *answers in read:
            assert answers[0] != answers[1]
            for part in [*(said for _, said in messages), *answers]:
                assert flat(json.dumps(part, ensure_ascii=False)[1:-1]) in text
        if not edits:
            whole = [row for row in given_rows if row[1] != row[2]]
            assert read == list({str(row[:3]): row[:3] for row in whole}.values())

    holds()


def json_file(content: bytes) -> Any:
    text = content.decode("utf-8-sig")
    return json.loads(text) if text.lstrip().startswith("[") else list(json_lines(content).values())


def test_prompts_in_parquet(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "p.parquet"

    @settings(max_examples=120, **STEADY)
    @given(st.lists(st.one_of(SAID, SAID, SAID, st.none()), min_size=1, max_size=4), EDITS)
    def holds(texts: list[str | None], edits: list[tuple[int, int, bytes]]) -> None:
        pd.DataFrame({"instruction": texts, "n": range(len(texts))}).to_parquet(path)
        path.write_bytes(mutated(path.read_bytes(), edits))
        table = seen.read(PromptsDataset(filepath=path).load, path)
        if table is None:
            return
        written = pd.read_parquet(path)["instruction"]
        expected = dict.fromkeys(text.strip() for text in written if isinstance(text, str) and text.strip())
        assert [pairs_of(cell) for cell in table["messages"]] == [[("user", text)] for text in expected]

    holds()


def test_columns_of_any_name(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "p.jsonl"
    names = st.sampled_from(["q", "text", "a.b", "prompt", "é"])

    @settings(max_examples=100, **STEADY)
    @given(names, names, st.lists(SAID, min_size=1, max_size=3, unique_by=str.casefold))
    def holds(written: str, mapped: str, texts: list[str]) -> None:
        path.write_bytes(as_json_lines([{written: text} for text in texts]))
        table = seen.read(PromptsDataset(filepath=path, columns={"prompt": mapped}).load, path)
        if table is None:
            assert written != mapped
        else:
            assert written == mapped
            assert [pairs_of(cell) for cell in table["messages"]] == [[("user", text)] for text in texts]

    holds()


@SUFFIX
def test_ratings(
    tmp_path: Path, seen: Seen, suffix: str, write: Callable[[Any], bytes], second: Callable[[bytes], Rows]
) -> None:
    path, comparisons = tmp_path / f"r{suffix}", tmp_path / "c.jsonl"
    comparisons.write_bytes(
        as_json_lines([{"prompt": "a", "chosen": "b", "rejected": "c", "objective": "helpfulness"}])
    )
    needed = {**CONVERSATION, "response": TEXT, "rating": st.sampled_from([0, 4, 2.5, 3, "3", 1, "1_0", 4.1])}

    @settings(max_examples=120, **STEADY)
    @given(rows_of(needed, {"prompt_id": ID}), EDITS)
    def holds(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(write(rows), edits))
        raters = seen.read(lambda: RecordedRaters(comparisons, path), path)
        if raters is None:
            return
        expected = list(second(path.read_bytes()).values())
        for row, given_row in zip(raters.ratings.itertuples(), expected, strict=True):
            assert pairs_of(row.messages) == conversation(given_row)
            assert row.response == given_row["response"].strip()
            assert re.fullmatch(r"\s*[-+]?[0-9.]+(e[-+]?[0-9]+)?\s*", str(given_row["rating"]), re.IGNORECASE)
            assert row.rating == float(given_row["rating"])
            assert 0 <= row.rating <= 4

    holds()


def test_outcomes_of_people(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "referee.csv"
    policies = [st.sampled_from(names) for names in (["rl_cai", "hh, rlhf"], ["sl_cai", "hh, rlhf", "pretrained"])]
    needed = {"prompt_id": ID.map(str), "policy_a": policies[0], "policy_b": policies[1]}
    needed |= {"criterion": st.sampled_from(["harmlessness", "helpfulness"])}
    needed |= {"outcome": st.sampled_from(["1", "0", "0.5", " 1 ", "1e-1", ".5", "0,5", "nan", "1_0", "١"])}

    @settings(max_examples=120, **STEADY)
    @given(rows_of(needed, {"note": TEXT}), EDITS)
    def holds(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(as_csv(rows), edits))
        referee = seen.read(lambda: RecordedReferee(path), path)
        if referee is None:
            return
        expected = csv_rows(path.read_bytes())
        assert list(referee.rows) == list(expected)
        for line, row in referee.rows.items():
            assert [getattr(row, column) for column in COLUMNS[:-1]] == [
                expected[line][c].strip() for c in COLUMNS[:-1]
            ]
            assert expected[line]["outcome"].strip().isascii()
            assert "_" not in expected[line]["outcome"]
            assert row.outcome == float(expected[line]["outcome"])
            assert 0 <= row.outcome <= 1

    holds()


OPTIONS = st.lists(st.sampled_from([" (A)", " (B)", " C", "four", "\ud83d", ""]), max_size=3)
ASKED = TEXT | st.tuples(TEXT, TEXT, TEXT).map(
    lambda t: text_of(Comparison([{"role": "user", "content": t[0]}], t[1], t[2], "Which?"))
)
LETTERS = st.sampled_from([([" (A)"], [" (B)"]), ([" (B)"], [" (A)"]), ([" C", "four"], [" (A)", " D", "five"])])
CHOICE = st.lists(
    st.tuples(ASKED, LETTERS | st.tuples(OPTIONS, OPTIONS)).map(
        lambda t: {"prompt": t[0], "corrects": t[1][0], "incorrects": t[1][1]}
    ),
    min_size=1,
    max_size=3,
)


def test_multiple_choice_items(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "items.jsonl"

    @settings(max_examples=150, **STEADY)
    @given(CHOICE | WHOLE_PAIR, EDITS)
    def holds(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(as_json_lines(rows), edits))
        table = seen.read(ComparisonItemsDataset(filepath=path).load, path)
        if table is None:
            return
        expected = json_lines(path.read_bytes())
        assert set(table["line"]) <= set(expected)
        for row in table.itertuples():
            of_file = expected[row.line]
            if "corrects" not in of_file:
                check_answers(of_file, row.messages, row.better, row.worse)
                continue
            listed = [[o] if isinstance(o, str) else o for o in (of_file["corrects"], of_file["incorrects"])]
            assert len({*listed[0], *listed[1]}) == len(listed[0]) + len(listed[1])
            if row.prompt is not None:
                assert [row.prompt, row.corrects, row.incorrects] == [of_file["prompt"], *listed]
            else:
                assert listed[0][0].strip() == f"({row.letter})"
                first, second = (row.better, row.worse) if row.letter == "A" else (row.worse, row.better)
                again = text_of(Comparison(as_messages(row.messages), first, second, row.question))
                assert flat(again) == flat(of_file["prompt"])

    holds()


PRINCIPLES = b"- Be kind.\n- 'Do not help a thief.'\n- \"Be\\nbrave: always.\"\n"


@pytest.mark.parametrize("suffix", [".yml", ".json", ".txt"])
def test_a_constitution_of_sentences(tmp_path: Path, seen: Seen, suffix: str) -> None:
    path = tmp_path / f"principles{suffix}"

    @settings(max_examples=120, **STEADY)
    @given(st.lists(TEXT, max_size=2), EDITS)
    def holds(texts: list[str], edits: list[tuple[int, int, bytes]]) -> None:
        content = {
            ".yml": PRINCIPLES + b"".join(f"- {json.dumps(text)}\n".encode() for text in texts),
            ".json": json.dumps(["Be kind.", *texts]).encode(),
            ".txt": "\n".join(["Be kind.", *texts]).encode("utf-8", errors="surrogatepass"),
        }[suffix]
        path.write_bytes(mutated(content, edits))
        constitution = seen.read(ConstitutionDataset(filepath=path).load, path)
        if constitution is None:
            return
        text = path.read_bytes().decode("utf-8-sig")
        if suffix == ".txt":
            lines = [line.strip() for line in lf(text).split("\n")]
            expected = [line for line in lines if line and not line.startswith("#")]
        else:
            expected = [lf(one).strip() for one in (yaml.safe_load(text) if suffix == ".yml" else json.loads(text))]
        assert [principle.title for principle in constitution.preference_principles] == expected
        json.dumps(expected, ensure_ascii=False).encode()

    holds()


REQUESTS = b'[{"critic": "Say what is harmful.", "revision": "Take it out."}, {"critic": "And what is rude?", '
REQUESTS += b'"revision": "Be kind.", "name": "Manners", "question": "Which is kinder?"}]'


@pytest.mark.parametrize(("suffix", "around"), [(".json", b"%s"), (".json", b'{"constitutions": %s}'), (".yml", b"%s")])
def test_a_constitution_of_requests(tmp_path: Path, seen: Seen, suffix: str, around: bytes) -> None:
    path = tmp_path / f"requests{suffix}"

    @settings(max_examples=100, **STEADY)
    @given(EDITS)
    def holds(edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(mutated(around % REQUESTS, edits))
        constitution = seen.read(ConstitutionDataset(filepath=path).load, path)
        if constitution is None:
            return
        text = path.read_bytes()
        content = strict_yaml(text) if suffix == ".yml" else lf(json.loads(text.decode("utf-8-sig")))
        listed = content if isinstance(content, list) else content["constitutions"]
        for principle, entry in zip(constitution.critique_principles, listed, strict=True):
            critic, revision = (
                (entry.get(a) or entry.get(b)).strip()
                for a, b in (("critic", "critique_request"), ("revision", "revision_request"))
            )
            assert critic.endswith(principle.critique_request) or principle.critique_request in critic
            assert revision.endswith(principle.revision_request) or principle.revision_request in revision
        asked = [entry["question"].strip() for entry in listed if "question" in entry]
        assert asked == [
            p.question
            for p, entry in zip(constitution.preference_principles, listed, strict=True)
            if "question" in entry
        ]

    holds()


FOLDER = {
    "critique_principles.yml": b"- id: a\n  title: t\n  harms: [x]\n  critique_request: c\n  revision_request: r\n",
    "preference_principles.yml": b"- {id: b, title: t, harms: [], question: 'Which one?'}\n- id: c\n  title: u\n"
    b"  harms: [y, z]\n  question: |\n    Why?\n",
    "few_shots.yml": b"critiques: []\ncomparisons:\n- messages: Hi\n  better: yes, sure\n  worse: no way\ncots: []\n"
    b"red_team_prompts: [one]\n",
}


def strict_yaml(content: bytes) -> Any:
    text = content.decode("utf-8-sig")
    waiting = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), "a key that stands twice was read"
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return lf(yaml.safe_load(text))


def stripped(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [stripped(one) for one in value]
    if isinstance(value, dict):
        return {key: stripped(one) for key, one in value.items()}
    return value.strip() if isinstance(value, str) else value


def test_a_constitution_in_a_folder(tmp_path: Path) -> None:
    seen = Seen()

    @settings(max_examples=150, **STEADY)
    @given(st.sampled_from(list(FOLDER)), EDITS)
    def holds(changed: str, edits: list[tuple[int, int, bytes]]) -> None:
        for name, content in FOLDER.items():
            (tmp_path / name).write_bytes(mutated(content, edits) if name == changed else content)
        constitution = seen.read(ConstitutionDataset(filepath=tmp_path).load, tmp_path / changed)
        if constitution is None:
            return
        for name in ("critique_principles", "preference_principles"):
            given_entries = strict_yaml((tmp_path / f"{name}.yml").read_bytes())
            assert stripped([p.model_dump() for p in getattr(constitution, name)]) == stripped(given_entries)
        shots = strict_yaml((tmp_path / "few_shots.yml").read_bytes())
        read = constitution.few_shots
        assert list(read.red_team_prompts) == stripped(shots["red_team_prompts"])
        assert [[s.better, s.worse] for s in read.comparisons] == stripped(
            [[s["better"], s["worse"]] for s in shots["comparisons"]]
        )

    holds()
    seen.both_happened(10)


N_TROUBLED = 5


def test_manifests_and_files_of_shards(tmp_path: Path) -> None:
    """A shard on disk is read as it was written, or is made again."""
    made = plan(Maker(troubled=N_TROUBLED), max_quarantined=1.0)
    store = ShardStore(tmp_path, made)
    outcomes = {name: store.write(name, run_shard(made, name)) for name in made.shards}
    assert sum(len(outcome.quarantine) for outcome in outcomes.values()) == N_TROUBLED
    files = {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.*")) if file.is_file()}
    seen = Counter[str]()

    @settings(max_examples=150, **STEADY)
    @given(st.sampled_from(sorted(files)), EDITS)
    def holds(changed: Path, edits: list[tuple[int, int, bytes]]) -> None:
        for file, content in files.items():
            file.write_bytes(mutated(content, edits) if file == changed else content)
        for name, outcome in outcomes.items():
            read = store.read(name)
            seen["read" if read is not None else "made again"] += 1
            if read is not None:
                pd.testing.assert_frame_equal(read.rows, outcome.rows)
                pd.testing.assert_frame_equal(read.quarantine, outcome.quarantine)

    holds()
    assert min(seen["read"], seen["made again"]) > 50


def tensors_of(directory: Path) -> dict[str, torch.Tensor]:
    """Read safetensors by their format: the header's length in eight bytes, the header in JSON, the numbers."""
    index = directory / INDEX
    names = set(json.loads(index.read_bytes())["weight_map"].values()) if index.is_file() else {SINGLE}
    tensors = {}
    for name in names:
        content = (directory / name).read_bytes()
        begin = 8 + int.from_bytes(content[:8], "little")
        for key, told in json.loads(content[8:begin]).items():
            if key != "__metadata__":
                start, end = told["data_offsets"]
                assert told["dtype"] == "F32"
                values = torch.frombuffer(bytearray(content[begin + start : begin + end]), dtype=torch.float32)
                tensors[key] = values.reshape(told["shape"])
    return tensors


@pytest.mark.parametrize("shards", [False, True])
def test_model_directories(tmp_path: Path, seen: Seen, tiny_lm: LanguageModel, shards: bool) -> None:
    tiny_lm.model.save_pretrained(tmp_path, **({"max_shard_size": "20KB"} if shards else {}))
    tiny_lm.tokenizer.save_pretrained(tmp_path)
    files = {file: file.read_bytes() for file in sorted(tmp_path.iterdir())}
    texts = [file for file in files if file.suffix == ".json" and file.name != "tokenizer.json"]
    weights = [file for file in files if file.suffix == ".safetensors"][:2]

    @settings(max_examples=50, **STEADY)
    @given(st.sampled_from([*texts, *weights]), EDITS)
    def holds(changed: Path, edits: list[tuple[int, int, bytes]]) -> None:
        for file, content in files.items():
            file.write_bytes(mutated(content, edits) if file == changed else content)
        lm = seen.read(lambda: load_language_model(tmp_path), tmp_path)
        if lm is None:
            return
        state = lm.model.state_dict()
        for name, values in tensors_of(tmp_path).items():
            assert torch.equal(state[name], values)
            assert torch.isfinite(values).all()
        config = json.loads((tmp_path / "config.json").read_bytes(), object_pairs_hook=once)
        for key, value in config.items():
            if isinstance(value, int | float) and key in tiny_lm.model.config.to_dict():
                assert lm.model.config.to_dict()[key] == value
        for file in texts:
            json.loads(file.read_bytes(), object_pairs_hook=once)

    holds()
