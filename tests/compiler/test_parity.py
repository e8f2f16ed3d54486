# SPDX-License-Identifier: MIT
"""Random models of every kind: each kernel set gives the bytes of tflite-micro. `make soak` draws more."""

import pytest

from compiler.kinds import KINDS
from compiler.parity import BOARD, differences, differences_on_board, draw

SEEDS = range(6)  # of each kind: more than 500 models
BATCHES = 8


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_here(kind: str) -> None:
    found = [line for seed in SEEDS for line in differences(draw(kind, seed))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("kernels", BOARD)
def test_on_micropython(kernels: str, batch: int) -> None:
    models = [draw(kind, seed) for kind in sorted(KINDS)[batch::BATCHES] for seed in SEEDS]
    found = differences_on_board(models, kernels)
    assert not found, "\n".join(found)


def test_enough() -> None:
    assert len(KINDS) * len(SEEDS) >= 500
