"""The ablation with networks of a few steps: what it counts, what it writes, and that it goes on."""

import csv
import json

import numpy as np
import soundfile
import torch
from click.testing import CliRunner
from secodec_toy import toy_networks

from bitfloor.codecs.secodec.model import PRESETS
from bitfloor.tools import joint_ablation
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.secodec import SECodecTask


def test_bits_are_those_of_the_codes_probabilities():
    network, _ = toy_networks()
    share = network.quantiser.shares(1)
    codes = np.random.default_rng(0).choice(share.size, 4000, p=share)
    both = torch.from_numpy(np.stack([codes, codes], axis=1))
    ideal = -np.log2(share[codes]).sum()
    assert ideal - 1 <= joint_ablation.coded_bits(network, both, 1) <= 1.002 * ideal + 32


def test_four_rows_at_like_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(joint_ablation, "LAYERS", (1, 2))
    monkeypatch.setattr(joint_ablation, "METRICS", ("si_sdr", "log_mel"))
    rng, entries = np.random.default_rng(0), []
    (tmp_path / "test").mkdir()
    for number in range(10):
        voice = 0.2 * np.sin(np.cumsum(0.02 + 0.02 * rng.random(40_000))) * rng.random(40_000)
        soundfile.write(tmp_path / f"{number}.flac", voice, 16_000)
        entries.append({"file": f"{number}.flac", "source": f"s{number}", "speaker": f"s{number}"})
    soundfile.write(tmp_path / "test" / "a.flac", voice, 16_000)
    (tmp_path / "index.json").write_text(json.dumps(entries))
    network = SECodecTask(PRESETS["tiny"], [tmp_path / "index.json"], batch=4, seconds=0.4)
    Trainer(network, Budget(steps=12), tmp_path / "trained").run()
    arguments = [str(tmp_path / "index.json"), "--network", str(tmp_path / "trained"), "--preset", "tiny"]
    arguments += ["--test", str(tmp_path / "test"), "-o", str(tmp_path / "out.csv")]
    arguments += ["--steps", "12", "--batch", "4", "--neighbours", "20"]
    result = CliRunner().invoke(joint_ablation.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(r["codebook"], r["rule"]) for r in rows}
    assert found == {(c, r) for c in joint_ablation.CODEBOOKS for r in joint_ablation.RULES}
    for row in rows:
        assert 0 < float(row["bits1"]) <= np.log2(int(row["codes"])) + 1
        assert float(row["log_mel1"]) > 0
    again = CliRunner().invoke(joint_ablation.command, arguments, catch_exceptions=False)
    assert again.exit_code == 0 and not again.output
