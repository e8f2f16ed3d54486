# SPDX-License-Identifier: MIT
"""Boots the node, nothing else. Copied to the board as main.py (MicroPython) or code.py (CircuitPython).

What a node can survive (a silent sensor, a busy radio) torpor.node handles by sleeping. What gets past it is
a bug or a broken deploy, and is not caught here: the interpreter prints the traceback and stops at its REPL,
where the console shows it and `torpor deploy` can reach the board. Resetting instead would boot the same
fault again at once, and empty the battery with nothing to be seen.
"""

from torpor.node import main

main()
