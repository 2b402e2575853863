"""The public modules for theorists and builders of coders: their documented examples run, their names are there."""

import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

MODULES = ["bitfloor.coupling", "bitfloor.entropy_coding"]


@pytest.mark.parametrize("name", MODULES)
def test_documented_examples_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 10
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_all_public_names_are_there_and_documented(name):
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), public


def test_couplings_need_no_torch():
    """numpy is enough for couplings: the module loads at once."""
    code = "import sys, bitfloor.coupling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
