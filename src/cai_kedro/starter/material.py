"""What a new project gets from this one: conf, raw prompts, guides, notebooks.

It stands once, in git. A wheel carries a copy that `setup.py` makes; an editable installation reads the clone. Only the
standard library is imported here, because a build imports it.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

#: The folder beside this module that a wheel has and a clone has not.
IN_WHEEL = "material"
#: Folder, and patterns of the files in it, at any depth.
TREES = {"conf": ("*",), "data/01_raw": ("*",), "docs": ("*.md",), "notebooks": ("*.ipynb",)}
#: Kept at home, whatever lies there: what people keep to themselves, and what tools leave behind.
PRIVATE = ("conf/local/*", "conf/*/credentials*.yml")
GIVEN = ("conf/local/.gitkeep", "conf/*/credentials.template.yml")
LEFT_BEHIND = ("__pycache__", ".ipynb_checkpoints", ".DS_Store")


def material_root() -> Path:
    """Return the folder that holds the material; raises `FileNotFoundError` where the installation has none."""
    here = Path(__file__).parent
    for root in (here / IN_WHEEL, here.parents[2]):
        if (root / "conf" / "base").is_dir():
            return root
    raise FileNotFoundError(
        f"this installation of cai_kedro has no conf to begin with: neither {here / IN_WHEEL} nor a clone around "
        f"{here.parents[1]}; install it anew from a wheel (make wheel)"
    )


def material_files(root: Path) -> list[Path]:
    """Return the files of the material below a root, as sorted paths from there."""
    return sorted(_files(root))


def _files(root: Path) -> Iterator[Path]:
    for tree, patterns in TREES.items():
        for path in (root / tree).rglob("*"):
            file = path.relative_to(root)
            if path.is_file() and any(fnmatch(file.name, pattern) for pattern in patterns) and _is_given(file):
                yield file


def _is_given(file: Path) -> bool:
    name = file.as_posix()
    if any(part in LEFT_BEHIND for part in file.parts):
        return False
    return any(fnmatch(name, own) for own in GIVEN) or not any(fnmatch(name, own) for own in PRIVATE)
