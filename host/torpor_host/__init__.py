# SPDX-License-Identifier: MIT
"""Torpor on the host: check, compile, build, deploy, collect, simulate. `torpor` is `cli.main`."""

__version__ = "0.1.0"
