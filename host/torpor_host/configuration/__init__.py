# SPDX-License-Identifier: MIT
"""What stands behind `torpor_host.config`: TOML with line numbers, the schema, the checks, costs, node.bin."""
