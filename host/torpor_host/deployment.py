# SPDX-License-Identifier: MIT
"""`torpor deploy`: build a node (or take a built bundle) and put it onto a board."""

import tempfile
import time
from pathlib import Path

from . import keys
from .deploy import bundle as bundles
from .deploy.deploy import DeployResult, deploy
from .deploy.link import Link, open_link
from .errors import ConfigError
from .progress import bar
from .project import prepare

KEY_FILE = "key.bin"
NO_CLOCK = "its clock was not set: until something sets it, the node knows no hour of day"


def deploy_node(folder: Path, port: str, on: str | None = None, quiet: bool = False) -> DeployResult:
    """Build what is in `folder`, deploy it to `port`, set the board's clock and start the node.

    Raises TorporError, leaving the old node whole.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if (folder / "manifest.json").is_file():
            bundle = folder
        elif (folder / "node.toml").is_file():
            project = prepare(folder, on)
            bundle = Path(scratch) / "bundle"
            bundles.build(project.spec, project.compiled, bundle)
        else:
            raise ConfigError(
                [f"{folder}: neither node.toml nor manifest.json is there; give a node's folder"]
            )
        link = open_link(port)
        try:
            result = deploy_bundle(bundle, link, quiet)
            if not link.set_clock(time.time()):
                result.warnings.append(NO_CLOCK)
            link.start()
            return result
        finally:
            link.close()


def deploy_bundle(bundle: Path, link: Link, quiet: bool = False, key: bytes | None = None) -> DeployResult:
    """Send a bundle, with `key` (default: the node's own) when its frames are encrypted."""
    manifest = bundles.read(bundle)
    secrets = {KEY_FILE: key or keys.get_or_create(manifest.name)} if manifest.encrypt else {}
    total = sum(f.bytes for f in manifest.files)
    with bar("deploy", total, "B", quiet) as update:
        return deploy(bundle, link, progress=update, secrets=secrets)
