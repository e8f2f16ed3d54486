# SPDX-License-Identifier: MIT
"""The two packages lie in two folders; a wheel also carries what goes onto boards: device/ and boards/."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    """Copy device/ and boards/ to torpor_host/_data, where paths.py looks when it is not in a checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        data = Path(self.build_lib) / "torpor_host" / "_data"
        for folder, pattern in (("device", "*.py"), ("device/kernels", "*.[chl]*"), ("boards", "*.toml")):
            for source in sorted(Path(folder).rglob(pattern)):
                target = data / source
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(
    packages=find_packages("host") + find_packages("device", include=["torpor", "torpor.*"]),
    package_dir={"torpor_host": "host/torpor_host", "torpor": "device/torpor"},
    package_data={"torpor_host": ["**/*.html", "**/*.py", "kernels/built/*"]},
    cmdclass={"build_py": BuildWithData},
)
