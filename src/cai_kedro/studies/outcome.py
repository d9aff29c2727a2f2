"""The files of a study: `table.csv`, `claims.csv`, `study.md` and `elo.svg`, made of the chains that are finished."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from cai_kedro.core.csv_text import as_csv, from_csv_cells
from cai_kedro.datasets.durable import write_durably
from cai_kedro.metrics.between_runs import MIN_RUNS
from cai_kedro.metrics.claims import Claim, judge_claims
from cai_kedro.studies.chains import CODE, FIGURES, Chain
from cai_kedro.studies.figure import draw_study
from cai_kedro.studies.runner import time_of
from cai_kedro.studies.study_file import Study
from cai_kedro.studies.table import CELL_COLUMNS, claim_lines, in_words, table_lines, table_of

TABLE, CLAIMS, PAGE, PICTURE = "table.csv", "claims.csv", "study.md", "elo.svg"


def write_outcome(folder: Path, study: Study, chains: Sequence[Chain], claims: Sequence[Claim]) -> list[Path]:
    """Write the files and return their paths; raises `ValueError` where no chain is finished."""
    finished = [chain for chain in chains if chain.finished]
    if not finished:
        raise ValueError(
            f"no chain of {folder} is finished, so there is nothing to put together; see the run.log of each"
        )
    cells = pd.concat([_cells(chain) for chain in finished], ignore_index=True)
    table = table_of(cells)
    verdicts = judge_claims(cells, claims, list(study.settings))
    picture = draw_study(cells, list(study.settings))
    written = {
        **({folder / PICTURE: picture} if picture else {}),
        folder / TABLE: as_csv(table),
        folder / CLAIMS: as_csv(verdicts.assign(study=folder.name, commit=", ".join(_commits(finished)))),
        folder / PAGE: "\n".join(_page(folder.name, study, chains, table, verdicts, bool(picture))) + "\n",
    }
    for path, text in written.items():
        write_durably(path, text.encode())
    return list(written)


def _cells(chain: Chain) -> pd.DataFrame:
    content = (chain.folder / FIGURES).read_bytes()
    table = from_csv_cells(
        pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values={"low": [""], "high": [""]})
    )
    return table.assign(setting=chain.setting, seed=chain.seed)[list(CELL_COLUMNS)]


def _page(
    name: str, study: Study, chains: Sequence[Chain], table: pd.DataFrame, verdicts: pd.DataFrame, picture: bool
) -> Iterable[str]:
    finished = [chain for chain in chains if chain.finished]
    yield from (f"# Study {name}", "", study.about, "")
    yield from (f"- `{setting}`: {each.about}" for setting, each in study.settings.items())
    yield from ("", *_warnings(study, chains), "")
    yield from ("## Claims of the paper", "", *claim_lines(verdicts), "")
    yield (
        "*Mean [95 %]*: over seeds, with the seeds' spread and the prompts' interval in it. *Would be found*: the "
        "difference that this many prompts and seeds, with this spread, find in 80 % of the cases. *n*: prompts, pairs."
    )
    if picture:
        yield from ("", f"![Elo of every policy on both axes; small marks are seeds]({PICTURE})")
    yield from ("", "## Figures", "", *table_lines(table, study.show), "")
    yield (
        "*sd over seeds* is what another training changes, *prompts' interval* (95 %, inside a training, mean of the "
        "seeds' ends) what other prompts would."
    )
    yield from ("", "## Chains", "", "| seed | setting | ended | wall time |", "| --- | --- | --- | --- |")
    for chain in chains:
        state = chain.status["state"] or "not begun"
        yield f"| {chain.seed} | {chain.setting} | {state} | {time_of(chain)} |"
    yield from ("", f"In all {time_of_all(chains)}, one chain after another; code: {', '.join(_commits(finished))}.")


def time_of_all(chains: Sequence[Chain]) -> str:
    """Write the time of all chains together."""
    return in_words(sum(each["seconds"] or 0 for chain in chains for each in chain.status["attempts"]))


def _warnings(study: Study, chains: Sequence[Chain]) -> list[str]:
    finished = [chain for chain in chains if chain.finished]
    lines = []
    for setting in study.settings:
        seeds = sum(chain.setting == setting for chain in finished)
        if seeds < MIN_RUNS:
            lines.append(
                f"**`{setting}` has {seeds} finished seeds, fewer than {MIN_RUNS}: no sentence may rest on them.**"
            )
    missing = [chain.told for chain in chains if not chain.finished]
    if missing:
        lines.append(f"**Not finished: {'; '.join(missing)}.**")
    if len({chain.status.get(CODE) for chain in finished}) > 1:
        lines.append("**The chains were made by different versions of the code: compare them with care.**")
    return lines


def _commits(chains: Sequence[Chain]) -> list[str]:
    """Return the versions of the code that made the chains, each once."""
    return list(dict.fromkeys(_code(chain) for chain in chains))


def _code(chain: Chain) -> str:
    status = chain.status
    commit = status.get("mlflow.source.git.commit", "")[:9] or f"version {status.get('version', 'not known')}"
    return f"{commit} with changed files" if status.get("git.dirty") == "true" else commit
