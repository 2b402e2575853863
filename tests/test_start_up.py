"""What a command costs before and after its work: modules that it imports, garbage that Python looks for."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

# Handlers run in reverse order, so the first one sees what Python's own end will meet.
SCRIPT = """
import atexit, gc, sys
atexit.register(lambda: print(len(gc.get_objects()), *sys.modules))
from bitfloor.tools import cli
sys.exit(cli.main(sys.argv[1:]))
"""
UNNEEDED = {"scipy", "sympy", "matplotlib", "torchvision", "torch._dynamo", "torch._inductor", "torch.onnx"}


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """What was left of a process that encoded, and of one that decoded: objects to look through, and modules."""
    folder = tmp_path_factory.mktemp("start")
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)).save(folder / "a.png")

    def end(*args):
        command = [sys.executable, "-c", SCRIPT, *args, "--quiet"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        objects, *modules = done.stdout.split()
        return int(objects), set(modules)

    return end("encode", "--fallback", "never", "a.png"), end("decode", "a.bf", "-o", "b.png")


def test_nothing_is_imported_that_a_picture_does_not_need(ends):
    for _, modules in ends:
        assert "torch" in modules and not UNNEEDED & modules


def test_the_end_of_a_process_looks_through_few_objects(ends):
    for objects, _ in ends:
        assert objects < 10_000  # torch alone leaves 170,000
