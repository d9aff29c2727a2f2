"""What `--params=model=…` names: a directory, a GGUF file or a repository of the hub, with or without its commit."""

import logging
import re
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi

from cai_kedro.engines.weight_files import first_line

logger = logging.getLogger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@\s]+))?")
_TIMEOUT_S = 20.0


@cache
def base_model_of(given: str, project: Path) -> dict[str, str | None]:
    """Return `source`, `path`, `gguf`, `repo` and `revision` of the parameters `base_model`; null where not meant.

    A directory that is there → `path`. A file `….gguf`, or `package:….gguf` → `gguf`. `organisation/name`, with or
    without `@revision` → `hub`: a branch or tag, by default the hub's main branch, becomes the commit that it stands
    for now, which is logged. Raises `ValueError` that says what was looked for, and where.
    """
    if given.endswith(".gguf"):
        return _parts("gguf", gguf=given)
    place = project / _from_home(given)
    if place.is_dir():
        return _parts("path", path=given)
    match = _REPO.fullmatch(given)
    if match is None:
        raise ValueError(
            f"model is {given!r}, which is no directory (looked in {project}), no file ….gguf and no "
            f"organisation/name of the hub, with @revision or without; correct it{_cut_at_a_comma(place)}"
        )
    revision = match["revision"]
    if revision and _COMMIT.fullmatch(revision):
        return _parts("hub", repo=match["repo"], revision=revision)
    if cut := _cut_at_a_comma(place):
        raise ValueError(f"model is {given!r}, which is no directory (looked in {project}){cut}")
    commit = _commit(match["repo"], revision, project)
    logger.info("the model %s is %s at the commit %s", given, match["repo"], commit)
    return _parts("hub", repo=match["repo"], revision=commit)


def _from_home(given: str) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError as error:  # `~name`, and no such user here
        raise ValueError(
            f"model is {given!r}, which starts in a home directory that is not known; write the path in full"
        ) from error


def _cut_at_a_comma(place: Path) -> str:
    """Tell of a directory of which `--params` took the part before a comma for all of it."""
    if not place.parent.is_dir():
        return ""
    longer = sorted(each.name for each in place.parent.iterdir() if each.name.startswith(f"{place.name},"))
    if not longer:
        return ""
    return (
        f". There is {longer[0]!r}, but a comma ends a value of --params: name this one as `model` in the "
        f"parameters.yml of the environment"
    )


def _parts(source: str, **given: str) -> dict[str, str | None]:
    return {"source": source, "path": None, "gguf": None, "repo": None, "revision": None, **given}


def _commit(repo: str, revision: str | None, project: Path) -> str:
    """Ask the hub which commit a branch, a tag or the main branch is."""
    try:
        commit = HfApi().model_info(repo, revision=revision, timeout=_TIMEOUT_S).sha
    except Exception as error:  # the errors of the HTTP library, too, which differ by version
        raise ValueError(
            f"model is {repo + (f'@{revision}' if revision else '')!r}: there is no such directory in {project}, and "
            f"the hub cannot say which commit it is ({first_line(error)}); check name, network and HF_TOKEN, or give "
            f"{repo}@<the 40 hexadecimal digits of a commit> that was fetched before, or a directory"
        ) from error
    if not commit:
        raise ValueError(f"the hub names no commit of {repo}; give {repo}@<the 40 hexadecimal digits of one>")
    return commit
