"""A trained model has a name of its own, is found where it lies, and never takes another's place."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import CONFIG, smooth_picture

import bitfloor
from bitfloor import weights
from bitfloor.errors import ModelError, UsageError
from bitfloor.tools import cli
from bitfloor.tools.training.model_card import check_name, write_model


def writer(fingerprint, content=b"model"):
    def write(path):
        path.write_bytes(content)
        return bytes.fromhex(fingerprint)

    return write


CARD = {"codec": "mlicv2", "parameters": 1}


def test_a_model_that_nobody_names_is_called_by_its_fingerprint(tmp_path):
    one = write_model(tmp_path, None, writer("0a0b0c0d"), CARD)
    other = write_model(tmp_path, None, writer("01020304"), CARD)
    assert (one.name, other.name) == ("mlicv2-0a0b0c0d.safetensors", "mlicv2-01020304.safetensors")
    assert json.loads(one.with_suffix(".json").read_text()) == CARD | {"fingerprint": "0a0b0c0d"}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_name_given_twice_keeps_both_models(tmp_path):
    write_model(tmp_path, "mine", writer("0a0b0c0d", b"first"), CARD)
    path = write_model(tmp_path, "mine", writer("01020304", b"second"), CARD)
    write_model(tmp_path, "mine", writer("01020304", b"second"), CARD)  # the same again
    assert path.read_bytes() == b"second" and (tmp_path / "mine-0a0b0c0d.safetensors").read_bytes() == b"first"
    assert json.loads((tmp_path / "mine-0a0b0c0d.json").read_text())["fingerprint"] == "0a0b0c0d"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("name", ["a/b", "../x", "mine.safetensors", ".hidden", weights.find("mlicv2").stem])
def test_names_that_no_trained_model_may_have(name, tmp_path):
    with pytest.raises(UsageError, match="name of a model"):
        check_name("mlicv2", name)
    with pytest.raises(UsageError):
        write_model(tmp_path, name, writer("01020304"), CARD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "typo"], "no preset 'typo'"),
        (["--codec", "secodec-tokens", "--preset", "typo"], "no preset 'typo'"),
        (["--codec", "typo"], "cannot train codec 'typo'"),
        (["--codec", "mecb"], "cannot train codec 'mecb'"),
        (["--name", weights.find("mlicv2").stem], "is the name of a model in the package"),
        ([], "last.safetensors"),
    ],
)
def test_export_says_in_one_line_what_is_wrong(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--export", *arguments]) in (2, 5)
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and "unexpected" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder as `bitfloor train` leaves it: two steps of training, so a checkpoint and a model with its card."""
    from bitfloor.tools.training.export_image import export_image
    from bitfloor.tools.training.image import ImageTask
    from bitfloor.tools.training.loop import Budget, Trainer

    folder = tmp_path_factory.mktemp("run")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(smooth_picture(70, 70, number)).save(pictures / f"{number}.png")
    Trainer(ImageTask(CONFIG, [pictures], batch=1, crop=64, late_crop=64), Budget(steps=1), folder).run()
    export_image(folder, "mlicv2", [pictures])
    return folder


def test_encode_and_decode_take_the_folder_of_a_run(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(smooth_picture(64, 80)).save("p.png")
    (model,) = run.glob("mlicv2-*.safetensors")
    fingerprint = json.loads(model.with_suffix(".json").read_text())["fingerprint"]
    assert fingerprint in model.name
    assert cli.main(["encode", "p.png", "--model", str(run)]) == 0
    assert bitfloor.info(Path("p.bf").read_bytes()).model == fingerprint
    capsys.readouterr()
    assert cli.main(["decode", "p.bf", "-o", "q.png"]) == 5  # it is nowhere that decode would look
    err = capsys.readouterr().err
    assert fingerprint in err and "--model" in err and weights.FOLDERS_VARIABLE in err
    for place in (run, model):
        assert cli.main(["decode", "p.bf", "-o", "q.png", "-f", "--model", str(place)]) == 0
    assert np.asarray(Image.open("q.png")).shape == (64, 80, 3)
    data = Path("p.bf").read_bytes()
    assert (np.asarray(bitfloor.decode(data, model=run)) == np.asarray(Image.open("q.png"))).all()
    Path("l.bf").write_bytes(bitfloor.encode(Image.open("p.png"), codec="lossless"))
    assert cli.main(["decode", "p.bf", "l.bf", "-o", "both", "--model", str(run)]) == 0  # l.bf needs none
    with pytest.raises(ModelError, match=fingerprint):  # a model that the file does not name
        bitfloor.decode(data, model="mlicv2-small")
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, str(run))
    assert cli.main(["decode", "p.bf", "-o", "r.png"]) == 0
