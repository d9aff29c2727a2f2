"""A new project folder: the material, and the few files that make it a project of Kedro's."""

import json
import shutil
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from cai_kedro import __version__
from cai_kedro.core.folders import empty_folder
from cai_kedro.starter.material import material_files, material_root

#: Template in the package, and its place in the project; under their real names tools would read them here.
FILES = {
    "pyproject_toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "telemetry": ".telemetry",
    "src_README.md": "src/README.md",
}


def make_project(folder: Path) -> Path:
    """Fill an empty or new folder with a project that runs with the installed package; returns its absolute path.

    Raises `ValueError` where something is in the way, `FileNotFoundError` where the installation has no material,
    `OSError` where a file cannot be written.
    """
    folder = empty_folder(folder)
    root = material_root()
    for file in material_files(root):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, folder / file)
    for template, place in FILES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(_filled(template, folder.name), encoding="utf-8")
    return folder


def _filled(template: str, name: str) -> str:
    text = (files("cai_kedro.starter") / "files" / template).read_text(encoding="utf-8")
    values = {"name": name, "name_toml": json.dumps(name), "version": __version__, "kedro": metadata.version("kedro")}
    for key, value in values.items():
        text = text.replace("{{ " + key + " }}", value)
    return text
