"""A terminal that shows little, or is gone, costs no run: each case is a process of its own with such a terminal."""

import logging
import os
import subprocess
import sys

import pytest

from cai_kedro.core.text import visible
from cai_kedro.hooks.terminal import _VisibleFormatter

SHOW = """
import logging, sys
from cai_kedro.hooks.terminal import prepare_terminal, write_line
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s", force=True)
prepare_terminal()
print("ready", flush=True)
sys.stdin.readline()
logging.getLogger("cai_kedro.x").info("caf\\u00e9 \\u2500\\u2192 \\u732b %s", "x" * 3)
write_line("\\u2500\\u2500 0.4 \\u2013 0.6 \\ud800")
logging.getLogger("cai_kedro.x").info("the end")
sys.stderr.write("done")
"""


def _process(**environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SHOW],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("environment", "encoding", "expected"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1", "café -> ? xxx\n-- 0.4 - 0.6 "),
        ({"PYTHONIOENCODING": "ascii"}, "ascii", "caf? -> ? xxx\n-- 0.4 - 0.6 "),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "ascii", "caf? -> ? xxx\n-- 0.4 - 0.6 "),
        ({"PYTHONIOENCODING": "utf-8"}, "utf-8", "café ─→ 猫 xxx\n── 0.4 – 0.6 "),
    ],
)
def test_what_a_terminal_cannot_show_becomes_like_it(environment: dict[str, str], encoding: str, expected: str) -> None:
    with _process(**environment) as process:
        out, err = process.communicate(b"go\n", timeout=60)
    assert (process.returncode, err) == (0, b"done")
    assert out.decode(encoding).partition("ready\n")[2] == f"{expected}\\ud800\nthe end\n"


def test_a_pipe_that_nobody_reads_any_more() -> None:
    with _process() as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"ready\n":
            pass
        process.stdout.close()
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.stderr.read() == b"done"
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p1", "p1"),
        ("a\x1b[2Jb\x07\x9b", "a\\x1b[2Jb\\x07\\x9b"),
        ("a\r\nb\tc", "a\\r\nb\tc"),
        ("a\u202eb\u2028c\ud800", "a\\u202eb\\u2028c\\ud800"),
        ("naïve 猫 👩‍🚀", "naïve 猫 👩‍🚀"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_name_in_a_log_line_cannot_look_like_a_line() -> None:
    record = logging.LogRecord(
        "cai_kedro.x", logging.INFO, "", 0, "%s: %d rows\nand more", ("p\n12:00 INFO\x1b", 3), None
    )
    formatter = _VisibleFormatter(logging.Formatter("%(message)s"))
    assert formatter.format(record) == "p\\n12:00 INFO\\x1b: 3 rows\nand more"
    assert record.args == ("p\n12:00 INFO\x1b", 3), "other handlers get the record as it was"
