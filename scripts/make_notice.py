"""Writes NOTICE: the dependencies that pyproject.toml declares, each with its licence.

    python scripts/make_notice.py

Licences come from the metadata of what is installed. A dependency that is not installed (an extra) keeps the line that
NOTICE already has for it; the script ends with an error where there is none.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).parents[1]
NOTICE = PROJECT / "NOTICE"

#: What metadata say in other words, as an SPDX expression.
SPDX = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License (Apache 2.0)": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}

HEAD = """Constitutional AI as a Kedro project (cai_kedro)
Copyright 2026 The cai_kedro authors

Licensed under the Apache License, Version 2.0; see LICENSE. This holds for the code, for the constitutions, prompts and
probe sets, and for the weights of the micro LM, which were made by this code from text that it wrote itself.

The method is that of Bai et al. 2022, "Constitutional AI: Harmlessness from AI Feedback", arXiv:2212.08073.

None of the following is part of this package. An installer fetches them; each has a licence of its own. A report that a
run writes holds plotly.js (MIT), which comes with plotly. A model that you fetch or name has its own terms, and what is
trained from it falls under them.

Made by scripts/make_notice.py from the metadata of the dependencies that pyproject.toml declares.
"""


def declared(pyproject: Path) -> dict[str, list[str]]:
    """Return the declared distributions by group: `needed`, then each extra by its name; names as pip writes them."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    groups = {"needed": project["dependencies"], **project["optional-dependencies"]}
    own = canonical(project["name"])
    return {
        group: sorted({canonical(name_of(requirement)) for requirement in requirements} - {own})
        for group, requirements in groups.items()
    }


def name_of(requirement: str) -> str:
    """Return the distribution that a requirement names: `kedro[pydantic]~=1.7` is `kedro`."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0]


def canonical(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str | None:
    """Return the licence of an installed distribution as an SPDX expression, None where it is not installed.

    Raises `SystemExit` where its metadata name none that is known here.
    """
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    # `get`, because a package that tests import has metadata raise KeyError for what is not there
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classifiers = [
        text.split(" :: ")[-1] for text in about.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    for text in [*(line.strip() for line in (about.get("License") or "").splitlines()[:1]), *classifiers]:
        if text in SPDX:
            return SPDX[text]
        if text in SPDX.values():
            return text
    raise SystemExit(
        f"the metadata of {name} name no licence that is known: {about.get('License')!r}, {classifiers}; see SPDX"
    )


def entries(notice: str) -> dict[str, str]:
    """Return what a NOTICE says: licence by distribution."""
    return dict(re.findall(r"^  ([a-z0-9-]+) +(\S.*)$", notice, re.MULTILINE))


def render(groups: dict[str, list[str]], known: dict[str, str]) -> str:
    """Write NOTICE. `known`: licences of the NOTICE before, for what is not installed."""
    width = max(len(name) for names in groups.values() for name in names)
    parts = [HEAD]
    for group, names in groups.items():
        title = "Needed by every run" if group == "needed" else f"Extra `{group}`"
        lines = []
        for name in names:
            found = licence(name) or known.get(name)
            if found is None:
                raise SystemExit(f"{name} is neither installed nor in NOTICE; install it, then make NOTICE again")
            lines.append(f"  {name.ljust(width)}  {found}")
        parts.append("\n".join([f"{title}:", *lines]) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Write the file."""
    before = NOTICE.read_text(encoding="utf-8") if NOTICE.exists() else ""
    NOTICE.write_text(render(declared(PROJECT / "pyproject.toml"), entries(before)), encoding="utf-8")
    sys.stdout.write(f"{NOTICE} holds {len(entries(NOTICE.read_text(encoding='utf-8')))} licences\n")


if __name__ == "__main__":
    main()
