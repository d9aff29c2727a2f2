import base64
import gzip
import hashlib
import json
import re

import pandas as pd
import plotly.graph_objects as go
import pytest

from cai_kedro.reporting.figures.style import explained, nothing
from cai_kedro.reporting.page import (
    BLOCK,
    Transcripts,
    as_json,
    build_page,
    neighbour_table,
    split_table,
    summary_table,
)
from tests.reporting.tables import HOSTILE, summary


def _page(records: list[dict], hostile: str = HOSTILE) -> str:
    figure = explained(go.Figure(go.Scatter(x=[1], y=[2], name=hostile)), hostile, hostile, hostile)
    return build_page(
        summary().replace("rl_cai", hostile),
        [figure],
        {"answers": Transcripts(records, len(records))},
        {"critique": {hostile: {"title": hostile}}},
        {"seed": hostile},
    )


def test_no_text_of_the_run_becomes_markup() -> None:
    plain, hostile = _page([{"id": "harmless"}], "harmless"), _page([{"id": HOSTILE}])
    for tag in ("<script", "</script", "<img", "<!--", "<b>bold"):
        assert hostile.count(tag) == plain.count(tag), tag


def test_transcripts_are_packed_in_blocks_and_come_back_as_they_were() -> None:
    records = [{"id": f"{place} {HOSTILE}"} for place in range(2 * BLOCK + 1)]
    blocks = re.findall(r'<script type="text/plain" data-kind="answers">([\w+/=]+)</script>', _page(records))
    assert len(blocks) == 3
    unpacked = [json.loads(gzip.decompress(base64.b64decode(block))) for block in blocks]
    assert [record for block in unpacked for record in block] == records
    assert _page(records) == _page(records), "the same tables give the same bytes"


def test_only_the_two_scripts_of_the_page_are_allowed() -> None:
    page = _page([])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    run = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in run]
    assert len(hashes) == 2
    assert re.findall(r"'sha256-([^']+)'", policy[1]) == hashes
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1]


def test_json_inside_a_script_element_cannot_end_it() -> None:
    text = as_json({"key": HOSTILE})
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"key": HOSTILE}
    with pytest.raises(ValueError, match="Out of range float"):
        as_json(float("nan"))


def test_the_table_has_values_intervals_and_counts() -> None:
    words = " ".join(re.sub(r"<[^>]+>", " ", summary_table(summary())).replace("\xa0", " ").split())
    assert words == (
        "policy harmlessness Elo n = 600 complies n = 600 "
        "helpful_rlhf 0 reference 98 % [96, 99] rl_cai 570 [546, 593] 0 % [0, 1]"
    )
    with pytest.raises(ValueError, match="missing low"):
        summary_table(pd.DataFrame(columns=["policy", "metric", "value", "high", "n"]))


def test_neighbours_in_a_ranking_have_a_table_of_their_own() -> None:
    assert neighbour_table(summary()) == ""
    gap = {"policy": "rl_cai", "n": 600}
    ranked = pd.DataFrame(
        [
            {**gap, "metric": "harmlessness_elo_gap_over_<b>sl_cai", "value": 84.4, "low": 62.0, "high": 107.0},
            {**gap, "metric": "harmlessness_elo_gap_p_over_<b>sl_cai", "value": 0.001},
            {**gap, "metric": "harmlessness_elo_gap_more_prompts_over_<b>sl_cai", "value": 12.0},
        ]
    )
    both = pd.concat([summary(), ranked], ignore_index=True)
    assert summary_table(both) == summary_table(summary())
    words = " ".join(re.sub(r"<[^>]+>", " ", neighbour_table(both)).split())
    assert words.endswith("harmlessness rl_cai over &lt;b&gt;sl_cai 84 [62, 107] 0.001 12")


def test_every_split_has_its_share_with_interval_and_count() -> None:
    assert split_table(summary()) == ""
    rows = [
        {
            "policy": policy,
            "metric": f"objects.{split}",
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "n": n,
        }
        for policy, value in (("helpful_rlhf", 0.2), ("rl_cai", 0.7))
        for split, n in (("combination", 200), ("object", 100))
    ]
    both = pd.concat([summary(), pd.DataFrame(rows)], ignore_index=True)
    assert summary_table(both) == summary_table(summary())
    words = " ".join(re.sub(r"<[^>]+>", " ", split_table(both)).replace("\xa0", " ").split())
    assert words == (
        "share, held-out prompts helpful_rlhf rl_cai "
        "objects, combination n = 200 20 % [10, 30] 70 % [60, 80] "
        "objects, object n = 100 20 % [10, 30] 70 % [60, 80]"
    )


def test_what_was_not_measured_stands_at_the_top_and_undrawn_figures_are_named() -> None:
    drawn = explained(go.Figure(go.Scatter(x=[1], y=[2])), "F2 · Drawn", "p", "f")
    page = build_page(
        summary(), [nothing("F9 · Absent", "p", "no <labels>."), drawn], {}, {}, {}, ["no judge: give `judge`", "<b>"]
    )
    body = page[page.index("<body>") : page.index('type="application/json"')]
    assert body.index("Not measured") < body.index("What each policy became")
    assert "<li>no judge: give <code>judge</code></li>\n<li>&lt;b&gt;</li>" in body
    assert '<a href="#drawn-0">F2 · Drawn</a><br>Not drawn: F9 · Absent: no &lt;labels&gt;.' in body
    assert body.count("<figure") == 1
    assert "Not measured" not in _page([]).split("<main>")[1].split("<h2>Figures</h2>")[0]


def test_the_page_says_what_policies_are_and_which_have_the_same_figures() -> None:
    page = build_page(summary(), [], {}, {}, {})
    assert "<b>rl_cai</b>: sl_cai after RL" in page
    assert "<b>sl_cai</b>:" not in page
    assert "have the same figures" not in page
    again = summary().assign(policy=lambda table: table["policy"].replace("rl_cai", "rl_cai_cot"))
    both = pd.concat([summary(), again[again["policy"] == "rl_cai_cot"]], ignore_index=True)
    assert "<b>rl_cai</b> and <b>rl_cai_cot</b> have the same figures." in build_page(both, [], {}, {}, {})


def test_without_policies_in_the_table_the_page_says_so() -> None:
    page = build_page(summary()[:0], [], {}, {}, {})
    assert "<p>Nobody rated or judged the policies in this run, so how harmless" in page
    assert "191 points" not in page


def test_the_page_says_what_intervals_do_not_hold() -> None:
    assert "over the prompts of this one training. Another training, with another seed" in _page([])


def test_what_is_known_of_the_referee_stands_below_the_table() -> None:
    page = build_page(summary(), [], {}, {}, {}, referee=["The referee <agrees> in 71 % [68, 74], n = 812."])
    assert "The referee &lt;agrees&gt; in 71 % [68, 74], n = 812." in page
