"""Drawings for training: every kind, by seed, and what shares of the crops they make up."""

from __future__ import annotations

import numpy as np
import pytest

from bitfloor.tools.training import drawings
from bitfloor.tools.training.pictures import RandomCrops


@pytest.mark.parametrize("kind", sorted(set(drawings._KINDS), key=lambda kind: kind.__name__))
def test_every_kind_makes_whole_crops_that_differ_and_come_again(kind) -> None:  # type: ignore[no-untyped-def]
    crops = [kind(np.random.default_rng(seed), 96) for seed in range(6)]
    assert all(c.shape == (96, 96, 3) and c.dtype == np.uint8 for c in crops)
    assert len({c.tobytes() for c in crops}) > 1
    assert np.array_equal(crops[2], kind(np.random.default_rng(2), 96))


def test_chequers_alternate_from_cell_to_cell() -> None:
    for seed in range(20):
        crop = drawings.chequers(np.random.default_rng(seed), 128).reshape(128, 128, 3)
        assert len(np.unique(crop.reshape(-1, 3), axis=0)) <= 2


def test_text_is_dark_and_light() -> None:
    crops = [drawings.text(np.random.default_rng(seed), 128) for seed in range(10)]
    assert sum(int(np.ptp(c)) > 100 for c in crops) >= 8


def test_a_share_of_the_crops_is_drawn() -> None:
    grey = np.full((200, 200, 3), 77, np.uint8)
    rng = np.random.default_rng(0)
    drawn = np.mean([np.any(RandomCrops([grey], 0.25)._one(rng, 64) != 77) for _ in range(400)])
    assert 0.17 < drawn < 0.33
    assert not np.any(RandomCrops([grey])._one(rng, 64) != 77)
