"""One chain of a study: a setting with a seed, its folder, how far it is."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cai_kedro.datasets.durable import write_durably
from cai_kedro.studies.conf_of_chain import digest_of_conf, make_project
from cai_kedro.studies.study_file import Study

#: What a chain is, written before it runs; and how it went, written by its own process.
DEFINITION, STATUS = "chain.json", "status.json"
FIGURES, LOG, LOCK = "figures.csv", "run.log", ".lock"
#: What the status has of the code that made the chain: its digest.
CODE = "code"
FINISHED, FAILED, STOPPED, RUNNING = "finished", "failed", "stopped", "running"


@dataclass(frozen=True)
class Chain:
    """A setting with a seed, in a folder of its own; `beside` is a folder of the same seed, to copy what is alike."""

    folder: Path
    setting: str
    seed: int
    beside: Path | None

    @property
    def told(self) -> str:
        """What it is called in lines and messages."""
        return f"seed {self.seed}, {self.setting}"

    @property
    def status(self) -> dict[str, Any]:
        """`state`, `attempts` (each with `seconds`, None where it was killed), and what else its process wrote."""
        return read_json(self.folder / STATUS) or {"state": None, "attempts": []}

    @property
    def finished(self) -> bool:
        """Whether it ran to its end."""
        return self.status["state"] == FINISHED


def chains_of(study: Study, folder: Path) -> list[Chain]:
    """Return the chains in the order in which they run: seed by seed, the first setting first."""
    return [
        Chain(
            folder=folder / f"seed_{seed}" / name,
            setting=name,
            seed=seed,
            beside=_of_another_study(study, folder, seed)
            if name == study.first
            else folder / f"seed_{seed}" / study.first,
        )
        for seed in study.seeds
        for name in study.settings
    ]


def _of_another_study(study: Study, folder: Path, seed: int) -> Path | None:
    if study.beside is None:
        return None
    name, setting = study.beside.split("/")
    return folder.with_name(name) / f"seed_{seed}" / setting


def prepare(chain: Chain, study: Study, project: Path) -> None:
    """Make the folder of a chain, once.

    Raises `ValueError` where it is there and was begun with another conf: what is half made by one conf and half by
    another would be a figure of neither.
    """
    made = chain.folder.with_name(f".{chain.folder.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    make_project(made, project, study.env, chain.seed, study.settings[chain.setting])
    definition = {
        "setting": chain.setting,
        "seed": chain.seed,
        "env": study.env,
        "pipelines": list(study.pipelines),
        "to_outputs": list(study.to_outputs),
        "beside": str(chain.beside) if chain.beside else None,
        "conf": digest_of_conf(made),
    }
    there = read_json(chain.folder / DEFINITION)
    if there is None:
        shutil.rmtree(chain.folder, ignore_errors=True)  # what was killed before it had a definition
        write_json(made / DEFINITION, definition)
        made.rename(chain.folder)
        return
    shutil.rmtree(made)
    if changed := _changed(there, definition):
        raise ValueError(
            f"the chain {chain.told} was begun with other settings ({', '.join(changed[:4])}): remove {chain.folder} "
            f"to make it anew, or give the study's file another name"
        )


def _changed(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two definitions, each file of conf by its name."""
    parts = [name for name in now if name not in ("conf", "beside") and there.get(name) != now[name]]
    before, after = there.get("conf", {}), now["conf"]
    files = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [*parts, *(f"conf/{name}" for name in files)]


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what a file of ours holds, None where it is not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(content, dict), path
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    write_durably(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
