"""Put app.py, pages/ and assets/ into the wheel as sleepfm/_app, where `sleepfm app` finds them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithApp(build_py):
    """Build the package, then copy the app beside it."""

    def run(self) -> None:
        """Copy after the normal build."""
        super().run()
        if self.editable_mode:
            return  # an editable install finds app.py in the project itself
        target = Path(self.build_lib) / "sleepfm" / "_app"
        shutil.copytree("pages", target / "pages", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree("assets", target / "assets", dirs_exist_ok=True)
        shutil.copy("app.py", target)


setup(cmdclass={"build_py": BuildWithApp})
