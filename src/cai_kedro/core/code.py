"""What code does, told by its syntax: whether stored work would come out the same today."""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PACKAGE = __name__.partition(".")[0]
#: How the names of files end that a package reads; weights are known by the fingerprint beside them.
_READ = (".py", ".yml", ".json", ".jsonl")

#: An import as it is written: the module, with a point for each level up, and the names taken from it.
_Import = tuple[str, tuple[str, ...]]


def code_of(*modules: str, root: Path = _ROOT) -> dict[str, str]:
    """Return a digest of the code of some modules, and of all of this package that they import, directly or not.

    A digest says what the code does, so comments, docstrings and layout do not count. Functions that import for
    themselves are followed too. What is not followed: other packages, and a package's own `__init__`, unless something
    is imported from it. `root` is the folder of the package.

    Raises `ValueError` for a module that has no source.
    """
    digests: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in digests:
            digests[name], imports = _read(_source(name, root))
            waiting.extend(module for written in imports for module in _modules(written, name, root))
    return dict(sorted(digests.items()))


@functools.cache
def _read(source: str) -> tuple[str, tuple[_Import, ...]]:
    """Return the digest of a source and what it imports; the same source is parsed once."""
    tree = ast.parse(source)
    imports = tuple(written for node in ast.walk(tree) for written in _imports(node))
    return source_digest(source), imports


def source_digest(source: str) -> str:
    """Return the sha256 of what a source does: comments, docstrings and layout do not count."""
    return hashlib.sha256(ast.dump(_Undocumented().visit(ast.parse(source))).encode()).hexdigest()


def files_digest(names: Iterable[str], root: Path = _ROOT) -> str:
    """Return the sha256 of files under `root`, with their names; of Python files what they do (`source_digest`)."""
    digest = hashlib.sha256()
    for name in names:
        text = (root / name).read_text(encoding="utf-8")
        digest.update(name.encode())
        digest.update((source_digest(text) if name.endswith(".py") else text).encode())
    return digest.hexdigest()


def package_digest(root: Path = _ROOT) -> str:
    """Return the sha256 of all that the package does: its code, and what lies beside it to be read, as `files_digest`.

    Weights count by the fingerprint beside them.
    """
    names = (str(file.relative_to(root)) for suffix in _READ for file in root.rglob(f"*{suffix}"))
    return files_digest(sorted(names), root)


def _imports(node: ast.AST) -> Iterator[_Import]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, ()) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)


def _modules(written: _Import, by: str, root: Path) -> Iterator[str]:
    """Return the modules of this package that an import means; `by` is the module that imports."""
    module, names = written
    if module.startswith("."):
        here = by if (_file(by, root) or Path()).name == "__init__.py" else by.rpartition(".")[0]
        module = importlib.util.resolve_name(module, here)
    for name in names or ("",):
        inner = f"{module}.{name}"
        found = inner if name and _file(inner, root) else module
        if _file(found, root):
            yield found


def _file(module: str, root: Path) -> Path | None:
    """Return the file of a module of this package, None for other modules."""
    package, *parts = module.split(".")
    if package != _PACKAGE:
        return None
    place = root.joinpath(*parts)
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


def _source(module: str, root: Path) -> str:
    file = _file(module, root)
    if file is not None:
        return file.read_text(encoding="utf-8")
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError) as error:
        raise ValueError(
            f"the module {module!r} has no source, so nobody can tell whether shards that it made are still right; put "
            f"its code into a file"
        ) from error


class _Undocumented(ast.NodeTransformer):
    """Drops docstrings, and every other expression that is only a constant."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node
