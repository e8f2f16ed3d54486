# SPDX-License-Identifier: MIT
"""`torpor deploy`: build a node (or take a built bundle) and put it onto a board."""

import tempfile
from pathlib import Path

from . import keys
from .deploy import bundle as bundles
from .deploy.deploy import DeployResult, deploy
from .deploy.link import Link, open_link
from .errors import ConfigError
from .progress import bar
from .project import prepare

KEY_FILE = "key.bin"


def deploy_node(folder: Path, port: str, on: str | None = None, quiet: bool = False) -> DeployResult:
    """Build what is in `folder` and deploy it to `port`; raises TorporError, leaving the old node whole."""
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
            return deploy_bundle(bundle, link, quiet)
        finally:
            link.close()


def deploy_bundle(bundle: Path, link: Link, quiet: bool = False, key: bytes | None = None) -> DeployResult:
    """Send a bundle, with `key` (default: the node's own) when its frames are encrypted."""
    manifest = bundles.read(bundle)
    secrets = {KEY_FILE: key or keys.get_or_create(manifest.name)} if manifest.encrypt else {}
    total = sum(f.bytes for f in manifest.files)
    with bar("deploy", total, "B", quiet) as update:
        return deploy(bundle, link, progress=update, secrets=secrets)
