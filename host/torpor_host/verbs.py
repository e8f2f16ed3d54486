# SPDX-License-Identifier: MIT
"""What each verb of `torpor` does: call one library function, print what it returned."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import boards as board_files
from . import show
from .errors import FitError, ImageFileError, TorporError, UsageError
from .progress import bar


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def check(args: argparse.Namespace) -> int:
    from .project import prepare

    project = prepare(args.dir, args.on)
    if args.json:
        _print_json(project.summary())
    else:
        print(show.project(project))
    return 0


def new(args: argparse.Namespace) -> int:
    from . import newnode

    folder = args.parent / args.name
    newnode.create(args.name, args.board, folder)
    print(f"{folder}/node.toml written; next: torpor check {folder}")
    return 0


def boards(args: argparse.Namespace) -> int:
    if args.name:
        board = board_files.load(args.name)
        if args.json:
            _print_json(board.model_dump(mode="json"))
        else:
            print(board_files.describe(board))
        return 0
    rows = board_files.as_rows()
    if args.json:
        _print_json(rows)
    else:
        print(show.table(rows))
    return 0


def compile_(args: argparse.Namespace) -> int:
    from .compiler import compile_file
    from .project import fit

    compiled = compile_file(args.model)
    report = dict(compiled.report)
    chosen = [args.board] if args.board else board_files.names()
    report["fits"] = {name: fit(compiled.report, board_files.load(name)) for name in chosen}
    if args.board and report["fits"][args.board]:
        problem = report["fits"][args.board][0]
        raise FitError(
            f"{args.model} on {args.board}: {problem['region']}",
            problem["need_bytes"],
            problem["have_bytes"],
            "use a smaller model or another board (torpor boards)",
        )
    write_whole(args.output, compiled.image)
    if args.json:
        _print_json(report)
    else:
        print(show.compiled(report, args.output))
    return 0


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a failure leaves the old one. Raises TorporError with the system's reason."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise TorporError(f"{path}: {e.strerror}", "give a path that can be written") from None


def _read_image(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ImageFileError(
            f"{path}: {e.strerror}", "make it with: torpor compile MODEL.tflite -o MODEL.tpm"
        ) from None


def infer(args: argparse.Namespace) -> int:
    from . import infer as engine

    data = _read_image(args.image)
    x = engine.load_npy(args.input)
    with bar("infer", 100, "%") as update:
        y = engine.run(data, x, args.kernels, args.on, progress=lambda done, of: update(100 * done / of))
    engine.save_npy(args.output, y)
    result = {"shape": list(y.shape), "dtype": str(y.dtype), "kernels": args.kernels, "on": args.on}
    if args.json:
        _print_json(result)
    else:
        print(f"{args.output}: {result['dtype']} {result['shape']} with {args.kernels} kernels on {args.on}")
    return 0


def inspect(args: argparse.Namespace) -> int:
    if args.wake:
        from .simulate.wake import wake_path

        path = wake_path(args.path)
        if args.json:
            _print_json(path)
        else:
            print(show.wake(path))
        return 0
    if args.path.is_dir():
        from .deploy import bundle

        manifest = bundle.read(args.path)
        if args.json:
            _print_json(manifest.as_dict())
        else:
            print(show.manifest(manifest))
        return 0
    from .compiler import image

    info = image.read(_read_image(args.path), str(args.path))
    if args.json:
        _print_json(info.as_dict())
    else:
        print(image.describe(info))
    return 0


def build(args: argparse.Namespace) -> int:
    from .deploy import bundle
    from .project import prepare

    project = prepare(args.dir, args.on)
    manifest = bundle.build(project.spec, project.compiled, args.output)
    if args.json:
        _print_json(manifest.as_dict())
    else:
        print(show.manifest(manifest))
    return 0


def deploy(args: argparse.Namespace) -> int:
    from .deployment import deploy_node

    result = deploy_node(args.dir, args.port, args.on, quiet=args.json)
    if args.json:
        _print_json(result.as_dict())
    else:
        print(show.deployed(result, args.port))
    return 0


def collect(args: argparse.Namespace) -> int:
    from .collect import run as collect_run
    from .units import parse

    seconds = parse(args.duration, "duration") if args.duration else None

    def on_frame(frame: Any) -> None:
        if not args.json:
            print(show.frame(frame), flush=True)

    summary = collect_run(args.source, args.db, follow=args.follow, for_s=seconds, on_frame=on_frame)
    if args.json:
        _print_json(summary)
    else:
        _say(f"{summary['frames']} frames into {args.db}")
    return 0


def run(args: argparse.Namespace) -> int:
    from .lifecycle import run_virtual
    from .units import parse

    seconds = int(parse(args.duration, "duration"))
    if seconds <= 0:
        raise UsageError(f"--for {args.duration}: nothing to run", "give a duration such as 365d")
    summary = run_virtual(
        args.dir, seconds, trace=args.trace, out=args.out, restart=args.restart, say=_say, quiet=args.json
    )
    if args.json:
        _print_json(summary)
    else:
        print(show.summary(summary))
    counters = summary["counters"]
    if counters["faults"]:
        _say(f"torpor: the node met {counters['faults']:,} faults: a bad model, too little memory or no key")
    return 1 if summary["model"] and counters["faults"] and not counters["inferences"] else 0
