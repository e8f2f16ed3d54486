# SPDX-License-Identifier: MIT
"""The `torpor` command: each verb parses, makes one library call, prints. Data on stdout, progress on stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage. `main()` alone catches TorporError.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import __version__, verbs
from .errors import TorporError, UsageError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see: {self.prog} --help")


def _verb(verbs_of: "argparse._SubParsersAction[_Parser]", name: str, what: str, example: str) -> _Parser:
    return verbs_of.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_json(p: _Parser) -> None:
    p.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def parser() -> _Parser:
    top = _Parser(
        prog="torpor",
        description="The firmware kit for sensors that sleep.",
        epilog="example:\n  torpor run examples/frost --on virtual --for 365d",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"torpor {__version__}")
    sub = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)

    p = _verb(sub, "check", "Check a node before anything is flashed.", "torpor check examples/frost")
    p.add_argument("dir", type=Path, help="folder with node.toml")
    p.add_argument("--on", metavar="BOARD", help="check it as it would run on this board instead")
    _add_json(p)
    p.set_defaults(run=verbs.check)

    p = _verb(
        sub,
        "new",
        "Start a node: a folder with a node.toml that passes check.",
        "torpor new orchard-2 --board esp32c3-devkitm-1",
    )
    p.add_argument("name", help="name of the node and of the folder")
    p.add_argument("--board", required=True, help="a name that `torpor boards` lists, or a board file")
    p.add_argument("--in", dest="parent", type=Path, default=Path(), help="where (default: here)")
    p.set_defaults(run=verbs.new)

    p = _verb(
        sub,
        "boards",
        "List the boards, or show one with the source of every number.",
        "torpor boards esp32s3-devkitc-1",
    )
    p.add_argument("name", nargs="?", help="board to show")
    _add_json(p)
    p.set_defaults(run=verbs.boards)

    p = _verb(
        sub,
        "compile",
        "Compile an int8 .tflite into a model image (.tpm).",
        "torpor compile examples/frost/frost.tflite -o frost.tpm --board esp32s3-devkitc-1",
    )
    p.add_argument("model", type=Path, help="int8 .tflite")
    p.add_argument("-o", "--output", type=Path, required=True, help="image to write")
    p.add_argument("--board", help="fail if it does not fit this board")
    p.add_argument(
        "--ram", metavar="SIZE", help="split layers into patches until it runs in so much, e.g. 48KB"
    )
    _add_json(p)
    p.set_defaults(run=verbs.compile_)

    p = _verb(
        sub,
        "infer",
        "Run a model image on an input, here or on a real MicroPython.",
        "torpor infer frost.tpm --input X.npy -o Y.npy --on micropython",
    )
    p.add_argument("image", type=Path, help="model image (.tpm)")
    p.add_argument(
        "--input", type=Path, required=True, metavar="X.npy", help="one input or a batch, int8 or float"
    )
    p.add_argument("-o", "--output", type=Path, required=True, metavar="Y.npy", help="where the outputs go")
    p.add_argument(
        "--kernels",
        choices=("reference", "ulab", "viper", "native"),
        default="reference",
        help="kernel set (default: reference)",
    )
    p.add_argument(
        "--on", choices=("cpython", "micropython"), default="cpython", help="interpreter (default: cpython)"
    )
    p.add_argument(
        "--weights",
        choices=("rom", "ram", "stream"),
        help="seen where they lie, loaded, or read layer by layer (default: what there is memory for)",
    )
    _add_json(p)
    p.set_defaults(run=verbs.infer)

    p = _verb(
        sub,
        "inspect",
        "Show what is in an image or a bundle, or what a node loads as it wakes.",
        "torpor inspect frost.tpm --memory plot.png",
    )
    p.add_argument("path", type=Path, help="a .tpm, a bundle folder, or with --wake a node's folder")
    p.add_argument(
        "--wake",
        action="store_true",
        help="bytes and modules that are loaded before the first trigger decision",
    )
    p.add_argument(
        "--memory",
        nargs="?",
        const="",
        metavar="PLOT.png",
        help="what an image keeps in the arena and when: a table, or a picture (.png, .svg, .pdf)",
    )
    _add_json(p)
    p.set_defaults(run=verbs.inspect)

    p = _verb(
        sub,
        "build",
        "Build the bundle that goes onto the board.",
        "torpor build examples/frost -o out/bundle",
    )
    p.add_argument("dir", type=Path, help="folder with node.toml")
    p.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    p.add_argument("--on", metavar="BOARD", help="build it for this board instead")
    _add_json(p)
    p.set_defaults(run=verbs.build)

    p = _verb(
        sub,
        "deploy",
        "Build a node and put it onto a board: only what differs is sent.",
        "torpor deploy examples/frost --port /dev/ttyACM0",
    )
    p.add_argument("dir", type=Path, help="folder with node.toml, or a bundle that `torpor build` made")
    p.add_argument("--port", required=True, help="serial port, or the folder of a CIRCUITPY drive")
    p.add_argument("--on", metavar="BOARD", help="build it for this board instead")
    _add_json(p)
    p.set_defaults(run=verbs.deploy)

    p = _verb(
        sub,
        "install",
        "Put a model and the kernels that suit the board onto it, for a program of your own.",
        "torpor install kws.tpm --port /dev/ttyACM0",
    )
    p.add_argument("image", type=Path, help="model image (.tpm)")
    p.add_argument("--port", required=True, help="serial port, or the folder of a CIRCUITPY drive")
    _add_json(p)
    p.set_defaults(run=verbs.install)

    p = _verb(
        sub,
        "collect",
        "Receive frames and store them in SQLite.",
        "torpor collect virtual:out/orchard-1/board --db telemetry.sqlite",
    )
    p.add_argument("source", help="ble, virtual:BOARD-FOLDER, or a recording of the air")
    p.add_argument(
        "--db", type=Path, default=Path("telemetry.sqlite"), help="database (default: telemetry.sqlite)"
    )
    p.add_argument("--follow", action="store_true", help="go on receiving until Ctrl-C")
    p.add_argument("--for", dest="duration", help="stop after this long, e.g. 10min")
    _add_json(p)
    p.set_defaults(run=verbs.collect)

    p = _verb(
        sub,
        "run",
        "Check, compile, build, deploy, run and report: the whole life of a node.",
        "torpor run examples/frost --on virtual --for 365d",
    )
    p.add_argument("dir", type=Path, help="folder with node.toml")
    p.add_argument("--on", required=True, choices=("virtual",), help="where it runs")
    p.add_argument("--for", dest="duration", required=True, help="virtual time to run, e.g. 365d")
    p.add_argument("--trace", help="what the sensors see: a CSV, or tmy:greensboro, tmy:sand-point")
    p.add_argument("--out", type=Path, help="folder for the board, the data and the report (out/NAME)")
    p.add_argument(
        "--restart",
        action="store_true",
        help="end the interpreter at every sleep, as deep sleep does (slower, same result)",
    )
    _add_json(p)
    p.set_defaults(run=verbs.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    try:
        args = parser().parse_args(argv)
        code: int = args.run(args) or 0
        sys.stdout.flush()
        return code
    except TorporError as e:
        sys.stdout.flush()
        print(f"torpor: {e}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        print("torpor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our stdout left, as `head` does
        sys.stderr.close()
        return 0
    except OSError as e:  # the machine's, not ours: a full disk, a lost network drive
        print(f"torpor: {e.filename or 'output'}: {e.strerror or e}", file=sys.stderr)
        sys.stdout = None  # what could not be written is not tried again at exit
        return 1


if __name__ == "__main__":
    sys.exit(main())
