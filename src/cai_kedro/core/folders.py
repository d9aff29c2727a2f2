"""Folders that a command fills."""

from pathlib import Path


def empty_folder(folder: Path) -> Path:
    """Return the absolute path of a folder that is new or empty; raises `ValueError` for any other."""
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give the name of a folder that is not there yet")
    if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
        raise ValueError(f"{folder} is not empty, it holds {', '.join(there[:4])}; give a new or an empty folder")
    return folder
