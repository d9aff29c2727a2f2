"""How the report behaves with many transcripts: size, time to open, memory, time of a search, of turning a page.

Makes a report of as many chains of four revisions, made-up words in texts of the given length, and opens it in headless
Chromium (`chromium` and `chromedriver` on the path). One look each: the figures of another machine differ.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from cai_kedro.reporting.page import Transcripts, build_page

ROUNDS, REPEATS = 4, 5
LIST = "document.querySelector('#browser .list')"


def make_chains(n: int, words: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return chains of made-up texts; every 1,000th holds the word `needle`."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]

    def text(more: str = "") -> str:
        return f"{' '.join(rng.choices(vocabulary, k=words))}{more}."

    def step(more: str = "", **columns: Any) -> dict[str, Any]:
        behaviour = rng.choice(["comply", "objection", "evasive"])
        return {"text": text(more), "score": round(rng.gauss(0, 1), 4), "behaviour": behaviour, **columns}

    def revised(critiques: bool) -> list[dict[str, Any]]:
        return [step(principle=f"p{rng.randrange(16)}", critique=text() if critiques else None) for _ in range(ROUNDS)]

    return [
        {
            "id": f"prompt-{place}",
            "split": "train",
            "turns": [["user", text()]],
            "sample": 0,
            "policy": "helpful_rlhf",
            "steps": [step(" needle" if place % 1000 == 0 else ""), *revised(True)],
            "direct": [step(), *revised(False)],
        }
        for place in range(n)
    ]


def open_report(path: Path) -> webdriver.Chrome:
    """Open a page whose last tab is the chains."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument("--window-size=1200,900")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(300)
    driver.get(f"{path.as_uri()}#chains")
    return driver


def waited(driver: webdriver.Chrome, condition: str) -> None:
    """Wait until a script says true."""
    WebDriverWait(driver, 300, poll_frequency=0.02).until(lambda page: page.execute_script(f"return {condition}"))


def heap(driver: webdriver.Chrome) -> float:
    """Return what the page's JavaScript holds after a collection, in MB."""
    driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    return driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"] / 1e6


def processes(driver: webdriver.Chrome) -> list[Path]:
    """Return the folders in /proc of the driver and everything that it started."""
    folders = [stat.parent for stat in Path("/proc").glob("[0-9]*/stat")]
    parents = {int(folder.name): int(_fields(folder)[1]) for folder in folders}
    family = {driver.service.process.pid}
    while found := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
        family |= found
    return [Path("/proc") / str(pid) for pid in family]


def resident(driver: webdriver.Chrome) -> float:
    """Return the resident memory of the browser's largest process, which is the page's, in MB."""
    pages = max(int(_fields(folder)[21]) for folder in processes(driver))
    return pages * resource.getpagesize() / 1e6


def processor(driver: webdriver.Chrome) -> float:
    """Return the processor seconds of all processes of the browser."""
    ticks = sum(int(time) for folder in processes(driver) for time in _fields(folder)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(folder: Path) -> list[str]:
    """Return what /proc/<pid>/stat holds after the name: the state is the first, the parent the second."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def seconds(driver: webdriver.Chrome, action: str) -> float:
    """Return the median seconds of an action inside the page, until the list is drawn."""
    script = f"""
    const done = arguments[0], began = performance.now();
    {action}
    const wait = () => {LIST}.dataset.state === "ready"
        ? requestAnimationFrame(() => done((performance.now() - began) / 1000)) : setTimeout(wait, 1);
    wait();
    """
    return statistics.median(driver.execute_async_script(script) for _ in range(REPEATS))


def choose(name: str, value: str, event: str) -> str:
    """Return the script that fills a field of the form."""
    return f"""const field = document.querySelector('[name="{name}"]'); field.value = "{value}";
    field.dispatchEvent(new Event("{event}", {{ bubbles: true }}));"""


def measure(path: Path, say: Callable[[str], None]) -> None:
    """Open the page and print what it takes."""
    began = time.perf_counter()
    driver = open_report(path)
    try:
        say(f"page there after {time.perf_counter() - began:.1f} s, with the start of the browser")
        timing = driver.execute_script("return performance.timing.loadEventEnd - performance.timing.navigationStart")
        say(f"  of that, the page itself {timing / 1000:.1f} s")
        waited(driver, f"{LIST}.childElementCount > 0")
        say(f"first transcripts after {time.perf_counter() - began:.1f} s")
        waited(driver, f"{LIST}.dataset.state === 'ready'")
        say(f"all loaded after {time.perf_counter() - began:.1f} s, {processor(driver):.1f} s of them on a processor")
        say(f"memory: JavaScript {heap(driver):.0f} MB, the page's process {resident(driver):.0f} MB resident")
        say(f"search in all texts: {seconds(driver, choose('query', 'needle', 'input')):.2f} s, of these 0.20 s pause")
        say(f"  found {driver.execute_script('return document.querySelector(`.pager .count`).textContent')}")
        say(f"search emptied: {seconds(driver, choose('query', '', 'input')):.2f} s, of these 0.20 s pause")
        say(f"filter by principle: {seconds(driver, choose('principle', 'p3', 'change')):.2f} s")
        say(f"next page: {seconds(driver, 'document.querySelector(`.pager .next`).click();'):.3f} s")
    finally:
        driver.quit()


def main() -> None:
    """Build, open, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transcripts", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=15, help="of every text")
    given = parser.parse_args()
    chains = make_chains(given.transcripts, given.words)
    summary = pd.DataFrame(columns=["policy", "metric", "value", "low", "high", "n"])
    kinds = {"answers": Transcripts([], 0), "chains": Transcripts(chains, len(chains))}
    kinds["comparisons"] = Transcripts([], 0)
    began = time.perf_counter()
    page = build_page(summary, [], kinds, {"critique": {}, "preference": {}}, {})
    print(f"{given.transcripts:,} chains, {given.words} words a text, {3 * ROUNDS + 3} texts a chain")
    print(f"written in {time.perf_counter() - began:.1f} s, {len(page) / 1e6:.1f} MB")
    print(f"load average of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(page, encoding="utf-8")
        measure(path, print)


if __name__ == "__main__":
    main()
