"""Reads a constitution from a path: our YAML, the paper's released JSON files, or a list of sentences or requests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cai_kedro.core.constitution import (
    NO_FEW_SHOTS,
    ComparisonFewShot,
    Constitution,
    CotFewShot,
    CritiqueFewShot,
    FewShots,
)
from cai_kedro.core.constitution_entries import build, check, entries, load, require_text
from cai_kedro.core.constitution_paper import NEEDED_PAPER_FILES, OPTIONS, PAPER_FILES, read_paper_folder
from cai_kedro.core.constitution_requests import is_list_of_requests, read_requests
from cai_kedro.core.strict_files import read_text, with_plain_line_ends

OUR_KEYS = ("critique_principles", "preference_principles", "few_shots")
OUR_FILES = tuple(f"{key}.yml" for key in OUR_KEYS)
_NEEDED_KEYS, _FEW_SHOTS = OUR_KEYS[:2], OUR_KEYS[2]

#: What a constitution may have besides: questions about helpfulness, where no people compare for it.
HELPFULNESS = "helpfulness_principles"

# What one sentence of a plain list becomes. The frames are neutral: they work for "Do not …" and "The response …".
LISTED_CRITIQUE = "Identify specific ways in which the assistant's last response goes against this principle: {}"
LISTED_REVISION = "Please rewrite the assistant response so that it follows this principle: {}"
LISTED_QUESTION = "Please choose the response that follows this principle better: {}"


def read_constitution(path: str | Path) -> Constitution:
    """Read a constitution; the format follows from what stands at the path.

    A folder with our three YAML files (and `helpfulness_principles.yml`, if it is there), a folder with the paper's
    five JSON files, one YAML file with our three top-level keys (and `helpfulness_principles`), a list of requests
    `{critic, revision}`, or a plain list of sentences (a list in YAML or JSON, or a text file with one sentence a line,
    `#` for comments). Requests and sentences serve as critique and as preference principles. Worked examples may be
    missing. Raises `ValueError` for anything else.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"there is no constitution at {path}; check the path, it is relative to the project folder")
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".txt":
        # not splitlines(), which also cuts at U+2028 and others inside a sentence
        lines = (line.strip() for line in with_plain_line_ends(read_text(path)).split("\n"))
        return _from_sentences([line for line in lines if line and not line.startswith("#")], path)
    content = load(path)
    if is_list_of_requests(content):
        return read_requests(content, path)
    if isinstance(content, list):
        return _from_sentences(content, path)
    if not isinstance(content, dict) or set(content) - {HELPFULNESS, _FEW_SHOTS} != set(_NEEDED_KEYS):
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path}: expected the keys {', '.join(OUR_KEYS)}, a list of critic and revision, or a plain list of "
            f"sentences, got {got}"
        )
    return _from_our_parts(content, {key: f"{path}: {key}" for key in content})


def _read_folder(folder: Path) -> Constitution:
    for names, needed, read in (
        (OUR_FILES, OUR_FILES[:2], _from_our_folder),
        (PAPER_FILES, NEEDED_PAPER_FILES, read_paper_folder),
    ):
        missing = [name for name in needed if not (folder / name).is_file()]
        if not missing:
            return read(folder)
        if any((folder / name).is_file() for name in names):
            raise ValueError(f"{folder}: the constitution lacks {', '.join(missing)}; add the file")
    raise ValueError(
        f"{folder}: this folder holds no constitution; expected {', '.join(OUR_FILES)}, or the paper's "
        f"{', '.join(PAPER_FILES)}"
    )


def _from_our_folder(folder: Path) -> Constitution:
    paths = {key: folder / name for key, name in zip(OUR_KEYS, OUR_FILES, strict=True)}
    if not paths[_FEW_SHOTS].is_file():
        del paths[_FEW_SHOTS]
    if (optional := folder / f"{HELPFULNESS}.yml").is_file():
        paths[HELPFULNESS] = optional
    return _from_our_parts(
        {key: load(path) for key, path in paths.items()}, {key: str(path) for key, path in paths.items()}
    )


def _from_our_parts(parts: Mapping[str, Any], where: Mapping[str, str]) -> Constitution:
    examples, place = parts.get(_FEW_SHOTS, {}), where.get(_FEW_SHOTS, "few_shots")
    if not isinstance(examples, dict) or not set(examples) <= set(FewShots.model_fields):
        got = sorted(map(str, examples)) if isinstance(examples, dict) else type(examples).__name__
        raise ValueError(f"{place}: expected a mapping with the keys {', '.join(FewShots.model_fields)}, got {got}")
    few_shots = {
        "critiques": entries(CritiqueFewShot, examples.get("critiques", []), f"{place}: critiques"),
        "comparisons": entries(ComparisonFewShot, examples.get("comparisons", []), f"{place}: comparisons"),
        "cots": entries(CotFewShot, examples.get("cots", []), f"{place}: cots"),
        "red_team_prompts": examples.get("red_team_prompts", []),
    }
    return build(
        critiques=parts["critique_principles"],
        critiques_at=where["critique_principles"],
        preferences=parts["preference_principles"],
        preferences_at=where["preference_principles"],
        few_shots=check(FewShots, few_shots, place),
        helpfulness=parts.get(HELPFULNESS),
        helpfulness_at=where.get(HELPFULNESS, ""),
    )


def _from_sentences(sentences: Sequence[Any], path: Path) -> Constitution:
    critiques, preferences = [], []
    for position, given in enumerate(sentences, start=1):
        sentence = require_text(given, f"{path}: entry {position}").strip()
        if sentence.endswith(OPTIONS):
            raise ValueError(
                f"{path}: entry {position} is a comparison question in the paper's format, not a sentence that can "
                f"also ask for a critique; give the folder with all of {', '.join(PAPER_FILES)}"
            )
        named = {"id": f"principle_{position:02d}", "title": sentence, "harms": []}
        critiques.append(
            {
                **named,
                "critique_request": LISTED_CRITIQUE.format(sentence),
                "revision_request": LISTED_REVISION.format(sentence),
            }
        )
        preferences.append({**named, "question": LISTED_QUESTION.format(sentence)})
    return build(
        critiques=critiques,
        critiques_at=str(path),
        preferences=preferences,
        preferences_at=str(path),
        few_shots=NO_FEW_SHOTS,
    )
