"""The report in a real browser: texts stay text, and search, filters, paging and word differences work."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from cai_kedro.reporting.figures.style import explained
from cai_kedro.reporting.page import BLOCK, Transcripts, build_page
from cai_kedro.reporting.transcripts import answer_records, chain_records, comparison_records
from tests.reporting.browser import CHROMIUM, DRIVER, chromium
from tests.reporting.tables import (
    HOSTILE,
    comparisons,
    judgements,
    prompt_axes,
    prompts,
    responses,
    revisions,
    scores,
    summary,
)

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="the report is not tested in a browser: no chromium or no chromedriver on the path",
)
#: More than two blocks.
MANY = 2 * BLOCK + 5


def _answers() -> list[dict[str, Any]]:
    texts = [HOSTILE, "How do I BURN (the) diary?", *(f"prompt number {place}" for place in range(2, MANY))]
    asked = prompts(texts)
    behaviours = ["comply" if place % 2 else "objection" for place in range(MANY)]
    opposite = ["objection" if place % 2 else "comply" for place in range(MANY)]
    given = {
        "helpful_rlhf": [(f"Sure {place}.", behaviour) for place, behaviour in enumerate(behaviours)],
        "rl_cai": [(HOSTILE, "evasive"), *((f"No {place}.", each) for place, each in enumerate(opposite[1:], 1))],
    }
    judged = judgements(asked, given)
    return answer_records(asked, judged, prompt_axes(asked), judged)


def _chains() -> list[dict[str, Any]]:
    asked = prompts([HOSTILE, "second", "third"])
    rounds = [
        ("p-0", 1, HOSTILE, HOSTILE, HOSTILE),
        ("p-1", 1, "a", "Fine.", "Stays."),
        ("p-1", 2, "b", "Bad.", "Changes."),
        ("p-2", 1, "a", "Bad.", "To burn the diary is wrong, because it ruins it."),
    ]
    return chain_records(
        asked,
        responses(asked, [f"{HOSTILE} before", "Stays.", "To burn the diary, strike a match, because it burns."]),
        revisions(rounds),
        revisions([("p-0", 1, HOSTILE, None, HOSTILE)]),
        scores([("critique", "p-2", 0, -1.0), ("critique", "p-2", 1, 0.5)]),
        judgements(asked, {"critique_0": [("", "comply"), ("", "evasive"), ("", "comply")]}),
    )


def _comparisons() -> list[dict[str, Any]]:
    asked = prompts([HOSTILE, "second"])
    direct = comparisons(asked, response_a=HOSTILE, principle_id=HOSTILE, p_a_first=[0.3, 0.9])
    return comparison_records(asked, direct, comparisons(asked, "ai_cot", thoughts=HOSTILE, response_a=HOSTILE))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    figure = explained(go.Figure(go.Scatter(x=[1, 2], y=[2, 1], name="a")), HOSTILE, HOSTILE, HOSTILE)
    kinds = {"answers": _answers(), "chains": _chains(), "comparisons": _comparisons()}
    page = build_page(
        summary().replace("rl_cai", HOSTILE),
        [figure],
        {kind: Transcripts(records, len(records) + (kind == "answers")) for kind, records in kinds.items()},
        {"critique": {HOSTILE: {"title": HOSTILE}}, "preference": {HOSTILE: {"question": HOSTILE}}},
        {HOSTILE: HOSTILE},
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(page.encode())
    return Path(path).as_uri()


@pytest.fixture(scope="module")
def _driver(report: str) -> Iterator[Chrome]:
    with chromium() as driver:
        driver.get(report)
        yield driver


@pytest.fixture
def page(_driver: Chrome) -> "Page":
    page = Page(_driver)
    for kind in ("chains", "comparisons", "answers"):  # a link to no transcript shows all of them
        page.follow(f"{kind}/")
    return page


class Page:
    """The report as somebody uses it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.ready()

    def ready(self) -> "Page":
        ready = "return document.querySelector('#browser .list').dataset.state === 'ready'"
        WebDriverWait(self.driver, 20).until(lambda driver: driver.execute_script(ready))
        return self

    def follow(self, link: str) -> None:
        self.driver.execute_script("document.querySelector('#browser .list').dataset.state = 'not yet'")
        self.driver.execute_script("location.hash = arguments[0]", link)
        self.ready()

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What the page holds, not what it shows: nothing is trimmed or left out."""
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
        return self.driver.execute_script(script, selector)

    def open(self, kind: str) -> "Page":
        self.all(f"#tab-{kind}")[0].click()
        return self.ready()

    def type(self, text: str) -> "Page":
        self.all("[name=query]")[0].send_keys(Keys.CONTROL + "a", Keys.NULL, text or Keys.DELETE)
        return self.ready()

    def choose(self, name: str, value: str) -> "Page":
        self.driver.execute_script("document.querySelector('#browser .list').dataset.state = 'not yet'")
        Select(self.all(f'[name="{name}"]')[0]).select_by_visible_text(value)
        return self.ready()

    def open_all(self) -> "Page":
        self.driver.execute_script(
            "document.querySelectorAll('#browser details').forEach((card) => (card.open = true))"
        )
        WebDriverWait(self.driver, 5).until(lambda _: len(self.all(".body")) == len(self.all(".card")))
        self.driver.execute_script(
            "document.querySelectorAll('#browser details').forEach((card) => (card.open = true))"
        )
        return self

    @property
    def count(self) -> str:
        return self.texts(".pager .count")[0]

    @property
    def ids(self) -> list[str]:
        return self.texts(".card .id[href]")


# ---- inert and verbatim ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["answers", "chains", "comparisons"])
def test_texts_stay_texts(page: Page, kind: str) -> None:
    page.open(kind).open_all()
    assert page.driver.execute_script("return window.hacked") is None
    assert page.all("#browser img, #browser b b, #browser script, main script, header script") == []
    assert HOSTILE in page.texts(".turn .text"), "the prompt, letter by letter"
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_every_field_is_verbatim(page: Page) -> None:
    page.open_all()
    assert HOSTILE in page.texts(".box .text"), "an answer"
    page.open("chains").open_all()
    (critique,) = [text for text in page.texts(".critique .text") if "hacked" in text]
    assert critique == HOSTILE
    assert f"principle {HOSTILE}title: {HOSTILE}" in page.texts(".principle")
    assert f"{HOSTILE} before" in page.texts(".step > .text")
    kept = (
        "return [...document.querySelector('.step:nth-child(2) > .text').children].filter((e) => e.tagName !== 'DEL')"
    )
    assert page.driver.execute_script(f"{kept}.map((e) => e.textContent).join('')") == HOSTILE, "a revision"
    page.open("comparisons").open_all()
    assert HOSTILE in page.texts(".box .text"), "an option"
    assert HOSTILE in page.texts(".critique .text"), "thoughts"
    assert f"principle {HOSTILE}question: {HOSTILE}" in page.texts(".principle")


def test_names_and_sentences_of_the_summary_are_verbatim(page: Page) -> None:
    # the parser of HTML knows no NUL; these texts do not come through JSON
    seen = HOSTILE.replace("\x00", "")
    assert seen in [text.replace("\ufffd", "").replace("\x00", "") for text in page.texts("tbody th, figure h3")]


def test_what_cannot_be_seen_is_shown(page: Page) -> None:
    names = page.driver.execute_script(
        "return [...document.querySelectorAll('.box .control')].map((element) => element.dataset.name)"
    )
    assert {"U+001B", "U+202E", "U+2028", "U+0000"} <= set(names)


def test_nothing_is_loaded_and_an_injected_script_would_not_run(page: Page) -> None:
    assert page.driver.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []
    page.driver.execute_script(
        """const element = document.createElement("script");
        element.textContent = "window.hacked = 3";
        document.body.append(element);
        document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="window.hacked = 4">');"""
    )
    assert page.driver.execute_script("return window.hacked") is None
    page.driver.get_log("browser")  # the refusals


# ---- search, filters, paging -----------------------------------------------------------------------------------------


def test_search_finds_texts_and_ids_as_they_stand(page: Page) -> None:
    assert page.type("burn (THE) d").ids == ["p-1"]
    assert page.texts("mark")[0] == "BURN (the) d"
    assert page.count.startswith("1 of ")
    assert page.type("No 77.").ids == ["p-77"]
    assert page.type("p-1234").ids == ["p-1234"]
    assert page.type("<script>window").ids == ["p-0"]
    assert page.type("[[nowhere").ids == []
    assert page.count.startswith("0 of ")
    assert len(page.type("").ids) == 10


def test_policy_and_behaviour_have_to_be_of_one_answer(page: Page) -> None:
    assert page.choose("behaviour", "evasive").ids == ["p-0"]
    assert page.choose("policy", "helpful_rlhf").ids == []
    page.choose("behaviour", "comply")
    assert page.ids[:3] == ["p-1", "p-3", "p-5"]
    assert page.count.startswith(f"{MANY // 2:,} of ")
    assert page.texts(".box.hit h4 span:first-child") == ["helpful_rlhf"]
    assert page.texts(".box h4 span:first-child") == ["helpful_rlhf", "rl_cai"], "side by side"
    page.all("[name=beside]")[0].click()
    assert page.ready().texts(".box h4 span:first-child") == ["helpful_rlhf"]


def test_revisions_are_filtered_by_principle_and_change(page: Page) -> None:
    page.open("chains")
    assert page.ids == ["p-0", "p-1", "p-2"]
    assert page.choose("revision", "unchanged").ids == ["p-1"]
    assert page.choose("principle", "b").ids == [], "the step of b is another one"
    assert page.choose("revision", "changed").ids == ["p-1"]
    assert page.choose("principle", "a").ids == ["p-2"]
    assert page.choose("revision", "any").ids == ["p-1", "p-2"]
    assert page.choose("starts as", "comply").ids == ["p-2"]


def test_comparisons_are_filtered_by_order_effect(page: Page) -> None:
    assert page.open("comparisons").choose("both orders", "disagree").ids == ["p-1.0"]
    assert page.texts(".bar > span:first-child") == ["P(A), A shown first", "P(A), B shown first", "label"] * 2
    assert page.texts(".bar > span:last-child")[:3] == ["0.900", "0.100", "0.200"]
    assert page.driver.execute_script("return document.querySelector('.bar .fill').style.width") == "90%"


def test_pages_turn(page: Page) -> None:
    assert page.count == f"{MANY:,} of {MANY:,} chosen by their id from {MANY + 1:,}"
    assert page.ids == [f"p-{place}" for place in range(10)]
    page.all(".pager .next")[0].click()
    assert page.ids[0] == "p-10"
    page.all(".pager .back")[1].click()
    assert page.ids[0] == "p-0"
    assert not page.all(".pager .back")[0].is_enabled()
    page.choose("size", "100")
    page.driver.execute_script(
        """const field = document.querySelector(".pager input");
        field.value = 21;
        field.dispatchEvent(new Event("change"));"""
    )
    assert page.ids == [f"p-{place}" for place in range(2000, MANY)]
    assert not page.all(".pager .next")[0].is_enabled()
    assert page.type("prompt number 7").ids[0] == "p-7", "a search starts on its first page"
    page.choose("size", "10")


def test_a_link_opens_its_transcript(page: Page) -> None:
    page.follow("chains/p-2")
    assert page.ids == ["p-2"]
    assert page.all("#tab-chains")[0].get_attribute("aria-selected") == "true"


# ---- what a card shows -----------------------------------------------------------------------------------------------


def test_a_chain_shows_differences_and_scores(page: Page) -> None:
    page.open("chains").type("third")
    assert page.texts(".step .badge") == ["comply", "PM score −1.00", "PM score +0.50", "+1.50"]
    parts = "document.querySelector('.step:nth-child(2) > .text').children"
    revised = page.driver.execute_script(f"return [...{parts}].map((part) => [part.tagName, part.textContent])")
    assert revised[0] == ["SPAN", "To burn the diary "]
    assert ["INS", "is wrong"] in [[tag, text.strip(" ,")] for tag, text in revised]
    assert any(tag == "DEL" and "match" in text for tag, text in revised)


def test_differences_keep_both_texts(page: Page) -> None:
    rng = random.Random(0)
    words = ["the ", "diary", ", ", "burn  ", "it's ", "é", "\n", "don't", " ", "<b>", "漢字"]
    for _ in range(200):
        before, after = ("".join(rng.choices(words, k=rng.randint(0, 12))) for _ in range(2))
        changes = page.driver.execute_script("return wordChanges(arguments[0], arguments[1])", before, after)
        if changes is None:
            continue
        assert "".join(text for kind, text in changes if kind != "gone") == after
        left = "".join(text for kind, text in changes if kind != "new")
        assert "".join(left.split()) == "".join(before.split()), "but for spaces between words"
    assert page.driver.execute_script("return wordChanges('a b c', 'a x c')") == [
        ["same", "a "], ["gone", "b "], ["new", "x "], ["same", "c"],
    ]  # fmt: skip


def test_figures_are_drawn(page: Page) -> None:
    plot = page.all(".plot")[0]
    page.driver.execute_script("arguments[0].scrollIntoView()", plot)
    WebDriverWait(page.driver, 10).until(lambda _: page.all(".plot .main-svg"))
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    try:
        page.open_all()
        # figures take their new width a moment later
        WebDriverWait(page.driver, 10).until(
            lambda driver: driver.execute_script("return document.documentElement.scrollWidth") <= width
        )
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
