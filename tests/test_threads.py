"""Threads of a command: as many as the person says, asleep while they wait."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from bitfloor.tools import cli
cli.main(sys.argv[1:])
import torch
print(os.environ["OMP_WAIT_POLICY"], torch.get_num_threads())
"""


def settings(*args, **environment):
    """What a process that ran a command found set; its variables of threads are `environment` alone."""
    own = {name: os.environ[name] for name in os.environ if not name.endswith(("_NUM_THREADS", "_WAIT_POLICY"))}
    command = [sys.executable, "-c", SCRIPT, *args]
    done = subprocess.run(command, env=own | environment, capture_output=True, text=True, check=True)
    policy, threads = done.stdout.split()
    return policy, int(threads)


@pytest.mark.parametrize("command", ["encode", "decode", "tokens"])
def test_threads_are_those_of_the_option(command):
    assert settings(command, "--threads", "1", "missing", OMP_NUM_THREADS="2") == ("passive", 1)


def test_the_environment_holds_without_the_option():
    assert settings("decode", "missing", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="active") == ("active", 1)


def test_no_threads_are_refused():
    command = [sys.executable, "-m", "bitfloor", "decode", "--threads", "0", "a.bf"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
