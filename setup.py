"""What pyproject.toml cannot say: a wheel carries conf, the raw prompts and the guides, from where they are in git."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "src"))

from cai_kedro.starter.material import IN_WHEEL, material_files  # noqa: E402


class BuildPy(build_py):
    """Puts the material of a new project beside the code; a second copy of it in git would go its own way."""

    def run(self) -> None:
        """Build; an editable installation reads the material where it lies."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "cai_kedro" / "starter" / IN_WHEEL
        shutil.rmtree(target, ignore_errors=True)  # of a build before
        for file in material_files(ROOT):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, target / file)


setup(cmdclass={"build_py": BuildPy})
