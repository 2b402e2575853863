"""The ablation with networks of a few steps: what a row lacks, what stays frozen, real files, and that it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from msgspec.structs import replace
from PIL import Image
from tiny_model import CONFIG, smooth_picture, tiny_network

from bitfloor import load
from bitfloor.codecs.image.frozen import load_network, save_model
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.entropy_models.latent.skip import Skip
from bitfloor.entropy_models.parts import to_json
from bitfloor.tools import context_ablation

BUDGET = context_ablation.Budget
SKIPPING = replace(CONFIG, slices=replace(CONFIG.slices, skip=Skip()))


def test_every_row_lacks_something_and_builds() -> None:
    base = context_ablation.whole(SKIPPING)
    texts = {to_json(change(base.slices)) for change in context_ablation.ROWS.values()}
    assert len(texts) == len(context_ablation.ROWS) == 10
    counts = {}
    for name, change in context_ablation.ROWS.items():
        network = ImageNetwork(replace(base, slices=change(base.slices)))
        counts[name] = sum(p.numel() for p in network.parameters())
    assert counts["skip"] == counts["whole"]
    assert all(count < counts["whole"] for name, count in counts.items() if name not in ("skip", "whole"))


def test_rows_are_trained_measured_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny_network(config=SKIPPING))
    monkeypatch.setattr(context_ablation, "find", lambda preset, codec: SKIPPING)
    monkeypatch.setattr(context_ablation, "Budget", lambda minutes, **rest: BUDGET(steps=2, **rest))
    for folder, count in (("train", 3), ("test", 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.fromarray(smooth_picture(128, 192, number)).save(tmp_path / folder / f"{number}.png")
    out = tmp_path / "out"
    words = ["--test", tmp_path / "test", "--minutes", 1, "--batch", 1, "--crop", 64, "--model", model, "-o", out]

    def run(*more: str) -> str:
        given = [str(tmp_path / "train"), *map(str, words), *more]
        return CliRunner().invoke(context_ablation.command, given, catch_exceptions=False).output

    run("--rows", "residual,skip")
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert list(rows) == ["whole", "residual", "skip"]
    for name, row in rows.items():  # bytes are those of files
        path = out / name / ("whole.safetensors" if name == "whole" else f"without-{name}.safetensors")
        codec = load("mlicv2", path)
        assert row["bytes"][1] == len(codec.encode(tmp_path / "test" / "0.png", quality=40, strip=True))
        network = load_network(path)
        start = load_network(model).prior.state_dict()  # what is no part of the entropy path keeps its weights
        assert all(torch.equal(value, start[key]) for key, value in network.prior.state_dict().items())
    assert rows["residual"]["parameters"] < rows["whole"]["parameters"] == rows["skip"]["parameters"]
    assert "| nothing |" in (out / "table.md").read_text()

    monkeypatch.setattr(context_ablation, "make_row", None)  # would fail if it were called
    assert "| residual |" in run("--rows", "residual")
    with pytest.raises(Exception, match="other settings"):
        run("--rows", "residual", "--warm")
