"""What a type checker makes of the library: `bitfloor.load` knows the codec by its name."""

import textwrap
from importlib import import_module
from pathlib import Path

from mypy import api

import bitfloor
from bitfloor.codecs import registry

SNIPPET = """
import bitfloor
reveal_type(bitfloor.load())
reveal_type(bitfloor.load("secodec", "my-model"))
name: str = input()
reveal_type(bitfloor.load(name))
reveal_type(bitfloor.encode("a.png", bpp=0.5))
bitfloor.load("mlicv2").encode_batch([])
bitfloor.encode("a.png", size="30k")
""" + "".join(f'reveal_type(bitfloor.load("{entry.name}"))\n' for entry in registry.CODECS)
CONFIG = """
[mypy]
[mypy-torch.*,numpy.*,PIL.*]
follow_imports = skip
follow_imports_for_stubs = True
"""


def packages(folder):
    """A folder with the package as it is installed; mypy does not follow the hook of an editable install."""
    (folder / "bitfloor").mkdir(parents=True)
    for path in Path(bitfloor.__file__).parent.iterdir():
        (folder / "bitfloor" / path.name).symlink_to(path)
    for name in ("codecs", "entropy_models", "tools", "weights"):
        link = folder / "bitfloor" / name
        if not link.exists():
            link.symlink_to(Path(import_module(f"bitfloor.{name}").__file__).parent)
    return folder


def test_mypy_knows_the_codec(tmp_path, monkeypatch):
    (tmp_path / "snippet.py").write_text(textwrap.dedent(SNIPPET))
    (tmp_path / "mypy.ini").write_text(CONFIG)
    monkeypatch.setenv("MYPYPATH", str(packages(tmp_path / "path")))
    options = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path / "cache"), "--no-color-output"]
    out, err, _ = api.run([*options, str(tmp_path / "snippet.py")])
    found = [line.partition("snippet.py:")[2] for line in out.splitlines() if "snippet.py:" in line]
    types = [line.partition('Revealed type is "')[2].rstrip('"') for line in found if "Revealed" in line]
    assert [name.rsplit(".", 1)[-1] for name in types] == [
        *("MLICv2Codec", "SECodecCodec", "Codec", "bytes"),
        *(entry.target.partition(":")[2] for entry in registry.CODECS),
    ], out + err
    assert [line for line in found if "error" in line and "encode_batch" in line], out
    assert [line for line in found if "error" in line and '"size"' in line], out
