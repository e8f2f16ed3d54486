# SPDX-License-Identifier: MIT
"""Receiving what nodes send: receivers -> BTHome v2 decoder -> SQLite.

run("virtual:out/frost/board", Path("telemetry.sqlite"))
"""

from .collector import Collector, open_receiver, run

__all__ = ["Collector", "open_receiver", "run"]
