"""A forked worker works, though torch's threads stay behind in its parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_workers_code_as_their_parent_does():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("forked_worker.py")],
        env=os.environ | {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "passive"},  # or threads that wait take all time
        capture_output=True,
        text=True,
        timeout=240,  # a worker that waits for threads of its parent does so for ever
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["same"] * 4), done.stderr
