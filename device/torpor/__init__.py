# SPDX-License-Identifier: MIT
"""Torpor on the device: sense, decide, report, sleep. Import the parts you need; this file is empty
on purpose, since every wake pays for what it imports."""
