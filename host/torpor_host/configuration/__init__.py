# SPDX-License-Identifier: MIT
"""What stands behind `torpor_host.config`: TOML with line numbers, schema, checks, costs, node.bin."""
