# SPDX-License-Identifier: MIT
"""What can go wrong on a node. Few types, fields instead of prose: text costs flash.

NodeError
+-- ConfigError(field)          the binary configuration is bad or from another version
+-- ImageError(what, offset)    the model image is bad at that byte
+-- SensorError(chip, got)      no answer, wrong chip, value out of the data sheet's range
+-- LinkError(code)             the radio refused or timed out
+-- StoreError(slot)            state could not be written
"""


class NodeError(Exception):
    pass


class ConfigError(NodeError):
    pass


class ImageError(NodeError):
    pass


class SensorError(NodeError):
    pass


class LinkError(NodeError):
    pass


class StoreError(NodeError):
    pass
