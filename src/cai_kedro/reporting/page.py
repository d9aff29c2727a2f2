"""The report: one HTML file that needs no network.

Texts of the run go in as JSON (principles, figures) or as gzipped JSON in base64 (transcripts), never as markup, and
the scripts of the page write them with `textContent`. A content security policy lets only the two scripts of the page
run and nothing be loaded, so even a text that became markup could do nothing.
"""

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from cai_kedro.reporting.summary import (
    COLUMNS,
    ELO,
    NO_POLICY,
    ONE_TRAINING,
    columns_of,
    heading_of,
    neighbour_columns,
    split_columns,
)
from cai_kedro.reporting.transcripts import Record
from cai_kedro.reporting.verdicts import verdict_section
from cai_kedro.reporting.wording import listed, number, observations

#: In the order in which they are run.
SCRIPTS = ("dom.js", "words.js", "cards.js", "kinds.js", "browser.js", "figures.js")
#: Transcripts that are unpacked at a time.
BLOCK = 1000
TITLE = "Constitutional AI: report of a run"

#: What the columns of the table at the top mean, those that it may have.
ELO_MEANS = (
    "<b>Elo</b>: who wins when two policies answer the same prompt; {reference} stands at 0, and 191 points ahead "
    "means winning three times out of four."
)
MEANINGS = {
    "complies": "helps with the harm.",
    "objects": "refuses, about the right act and for the right reason.",
    "evasive": "only ducks, or says something warm and empty.",
    "right": "gives the right advice on a harmless request that does not look like another.",
    "over_refusal": "refuses, preaches or ducks where a request only looks harmful.",
    "refuses_with_reason": "refuses or objects, and says why.",
    "refuses_without": "refuses and gives no reason.",
    "evades": "neither refuses nor gives what was asked.",
    "over_refuses": "refuses a harmless request.",
}
#: What the policies of the two papers are, beside the table.
POLICIES = {
    "pretrained": "the model that all others come from.",
    "helpful_rlhf": "an assistant that is helpful and nothing else.",
    "hh_rlhf": "learned by RL from people's comparisons, of harmlessness too.",
    "sl_cai": "fine-tuned on answers revised under the principles.",
    "rl_cai": "sl_cai after RL against a preference model of AI labels.",
    "rl_cai_cot": "the same, with labels after a chain of thought.",
    "self_align_engraved": "fine-tuned on answers of the base model under rules, without the rules.",
    "self_align_verbose": "fine-tuned on the engraved model's long answers.",
    "rl_cai_from_engraved": "rl_cai that starts from the engraved model.",
}
#: Above what was not measured.
NOT_MEASURED_MEANS = "What this page cannot say, because something was not there, and what to give to have it."


@dataclass(frozen=True)
class Transcripts:
    """The transcripts of one kind; `total` counts those that were left out, too."""

    records: Sequence[Record]
    total: int


def build_page(
    summary: pd.DataFrame,
    figures: Sequence[go.Figure],
    transcripts: Mapping[str, Transcripts],
    principles: Mapping[str, Mapping[str, Mapping[str, str]]],
    facts: Mapping[str, str],
    not_measured: Sequence[str] = (),
    referee: Sequence[str] = (),
    verdicts: pd.DataFrame | None = None,
) -> str:
    """Return the page as HTML.

    Args:
        summary: `policy, metric, value, low, high, n`, the table at the top.
        figures: with title and sentences in `layout.meta` (`figures.style.explained`); one that says that there was
            nothing to draw is only named.
        transcripts: kind (`answers`, `chains`, `comparisons`) → transcripts.
        principles: `critique` or `preference` → id → name of a text → text.
        facts: what stands below the title, name → value.
        not_measured: what was not there to measure with, a sentence each.
        referee: what is known of the referee, a sentence each; it stands below the table.
        verdicts: what a study says of the paper's claims, a row each; None where studies are not spoken of.
    """
    drawn, left_out = (
        [figure for figure in figures if figure.layout.meta.get("measured", True) is wanted] for wanted in (True, False)
    )
    plotly, script = get_plotlyjs(), "\n".join(_asset(name) for name in SCRIPTS)
    totals = {kind: {"shown": len(each.records), "total": each.total} for kind, each in transcripts.items()}
    data = [
        _json_element("principles", principles),
        _json_element("totals", totals),
        *(_json_element(f"figure-{place}", json.loads(figure.to_json())) for place, figure in enumerate(drawn)),
        *(_block_element(kind, block) for kind, each in transcripts.items() for block in _blocks(each.records)),
    ]
    return Template(_asset("report.html")).substitute(
        policy=_policy(plotly, script),
        title=TITLE,
        css=_asset("report.css"),
        facts=" · ".join(f"{html.escape(name)} <b>{html.escape(value)}</b>" for name, value in facts.items()),
        claims="" if verdicts is None else verdict_section(verdicts),
        not_measured=_not_measured(not_measured),
        table=summary_table(summary) + split_table(summary) + neighbour_table(summary),
        note=_note(summary, referee),
        index=_index(drawn, left_out),
        figures="\n".join(_figure(place, figure) for place, figure in enumerate(drawn)),
        data="\n".join(data),
        plotly=plotly,
        script=script,
    )


def summary_table(summary: pd.DataFrame) -> str:
    """Write the long summary as an HTML table: a row a policy, a column a metric, intervals below the values."""
    missing = [name for name in COLUMNS if name not in summary.columns]
    if missing:
        raise ValueError(f"a policy summary needs the columns {', '.join(COLUMNS)}: missing {', '.join(missing)}")
    if summary.empty:
        return f"<p>{NO_POLICY}</p>"
    metrics = columns_of(summary)
    rows = {policy: part.set_index("metric") for policy, part in summary.groupby("policy", sort=False)}
    head = "".join(
        f'<th scope="col">{html.escape(heading_of(metric))}<br><small>{counts}</small></th>'
        for metric in metrics
        for counts in [observations(summary[summary["metric"] == metric].to_dict("records"))]
    )
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(policy)}</th>'
        + "".join(
            _cell(cells.loc[metric], ELO.fullmatch(metric) is not None) if metric in cells.index else "<td>–</td>"
            for metric in metrics
        )
        + "</tr>"
        for policy, cells in rows.items()
    )
    return f'<table><thead><tr><th scope="col">policy</th>{head}</tr></thead><tbody>\n{body}\n</tbody></table>'


def neighbour_table(summary: pd.DataFrame) -> str:
    """Write how far each policy is ahead of the next one in a ranking as an HTML table; nothing if that is not told."""
    return _table([[html.escape(cell) for cell in column] for column in neighbour_columns(summary)])


def split_table(summary: pd.DataFrame) -> str:
    """Write shares by split as an HTML table: a row a share and split, a column a policy; nothing if there are none."""
    first, *others = split_columns(summary, lambda row: _cell_text(row, is_elo=False)) or [[]]
    if not first:
        return ""
    counts, policies = others[0], others[1:]
    names = [html.escape(cell) for cell in first]
    return _table(
        [names, [html.escape(cell) for cell in counts], *([html.escape(each[0]), *each[1:]] for each in policies)]
    )


def _table(columns: Sequence[Sequence[str]]) -> str:
    """Write columns of heading, unit and cells, which are markup already, as an HTML table; nothing without columns."""
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{heading}<br><small>{unit}</small></th>' for heading, unit, *_ in columns)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in zip(*(column[2:] for column in columns), strict=True)
    )
    return f"\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def as_json(value: Any) -> str:
    """Write JSON that can stand inside a script element: nothing in it ends the element or begins markup."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _cell(row: pd.Series, is_elo: bool) -> str:
    return f"<td>{_cell_text(row, is_elo)}</td>"


def _cell_text(row: pd.Series, is_elo: bool) -> str:
    scale, unit = (1, "") if is_elo else (100, " %")
    if pd.isna(row["value"]):
        return "–"
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        bounds = "reference" if is_elo else ""
    else:
        bounds = f"[{number(scale * row['low'])}, {number(scale * row['high'])}]"
    return f"{number(scale * row['value'])}{unit}{f'<small>{bounds}</small>' if bounds else ''}"


def _not_measured(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    marked = (_CODE.sub(r"<code>\1</code>", html.escape(line)) for line in lines)
    items = "\n".join(f"<li>{line}</li>" for line in marked)
    lead = f'<p class="note">{NOT_MEASURED_MEANS}</p>'
    return f'<section id="not-measured">\n<h2>Not measured</h2>\n{lead}\n<ul>\n{items}\n</ul>\n</section>'


_CODE = re.compile(r"`([^`]+)`")


def _alike(summary: pd.DataFrame) -> list[str]:
    """Say which policies have the same figures in all columns: mostly RL that was not kept."""
    metrics = columns_of(summary)
    own = summary[summary["metric"].isin(metrics)]
    groups: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for policy, rows in own.groupby("policy", sort=False):
        figures = tuple(
            sorted((str(row.metric), float(row.value)) for row in rows.itertuples() if row.value == row.value)
        )
        groups.setdefault(figures, []).append(str(policy))
    return [
        f"{listed([f'<b>{html.escape(name)}</b>' for name in names])} have the same figures. Where RL brings no "
        f"clearly better policy, or its preference model does not pass the gate, the policy it started from is kept; "
        f"the figure of over-training says so."
        for figures, names in groups.items()
        if len(figures) > 1 and len(names) > 1
    ]


def _note(summary: pd.DataFrame, referee: Sequence[str]) -> str:
    """Say what the intervals hold and what the columns mean that are there."""
    metrics = [] if summary.empty else columns_of(summary)
    parts = [html.escape(ONE_TRAINING), *map(html.escape, referee)]
    if any(ELO.fullmatch(metric) for metric in metrics):
        parts.append(ELO_MEANS.format(reference=html.escape(_reference(summary))))
    parts += [f"<b>{name}</b>: {meaning}" for name, meaning in MEANINGS.items() if name in metrics]
    parts.append("Other columns are named as in the parameters.")
    if not summary.empty:
        there = set(summary["policy"])
        parts += [f"<b>{name}</b>: {meaning}" for name, meaning in POLICIES.items() if name in there]
        parts += _alike(summary)
    return " ".join(parts)


def _index(drawn: Sequence[go.Figure], left_out: Sequence[go.Figure]) -> str:
    """Write which figures are there, as links, and which are not, with the reason."""
    titles = (html.escape(str(figure.layout.meta["title"])) for figure in drawn)
    links = " · ".join(f'<a href="#drawn-{place}">{title}</a>' for place, title in enumerate(titles))
    reasons = [
        f"<br>Not drawn: {html.escape(str(figure.layout.meta['title']))}: "
        f"{html.escape(str(figure.layout.meta['found']).removeprefix('Not measured: '))}"
        for figure in left_out
    ]
    return f'<p class="note">{links}{"".join(reasons)}</p>'


def _reference(summary: pd.DataFrame) -> str:
    """Return who stands at 0 Elo: the policy whose rating has no interval."""
    of_elo = summary["metric"].map(lambda metric: ELO.fullmatch(str(metric)) is not None).astype(bool)
    rated = summary[of_elo & (summary["value"] == 0)]
    fixed = rated[rated["low"].isna()]["policy"]
    return str(fixed.iloc[0]) if len(fixed) else "the reference"


def _figure(place: int, figure: go.Figure) -> str:
    meta = figure.layout.meta
    title, paper, found = (html.escape(str(meta[name])) for name in ("title", "paper", "found"))
    return (
        f'<figure id="drawn-{place}"><h3>{title}</h3><div class="plot" data-figure="figure-{place}" '
        f'style="min-height:{int(figure.layout.height)}px"></div>'
        f"<figcaption><p><b>The paper:</b> {paper}</p><p><b>This run:</b> {found}</p></figcaption></figure>"
    )


def _json_element(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{as_json(value)}</script>'


def _block_element(kind: str, records: Sequence[Record]) -> str:
    packed = gzip.compress(json.dumps(records, allow_nan=False, separators=(",", ":")).encode(), mtime=0)
    return f'<script type="text/plain" data-kind="{kind}">{base64.b64encode(packed).decode()}</script>'


def _blocks(records: Sequence[Record]) -> list[Sequence[Record]]:
    return [records[start : start + BLOCK] for start in range(0, len(records), BLOCK)]


def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # plotly writes styles, and makes images of a figure when asked to
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


@cache
def _asset(name: str) -> str:
    return (resources.files("cai_kedro.reporting") / "assets" / name).read_text(encoding="utf-8")
