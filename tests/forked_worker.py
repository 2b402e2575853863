"""A program that forks: run by test_fork.py, because it must not be pytest that forks.

Prints the word "same" for every child that made the same files as its parent, whatever the parent had done before.
"""

import multiprocessing
import os
import sys
import threading

import numpy as np
import torch

NOISE = np.random.default_rng(0)
PICTURE = NOISE.integers(0, 256, (200, 200, 3), dtype=np.uint8)
SPEECH = (NOISE.normal(0, 0.1, 20_000).astype(np.float32), 16_000)


def files():
    """What both codecs with networks make, and whether torch has as many threads afterwards."""
    import bitfloor

    threads = torch.get_num_threads()
    made = [bitfloor.encode(PICTURE), bitfloor.encode(SPEECH, codec="secodec")]
    for data in made:
        bitfloor.decode(data)
    made.append(bitfloor.load("secodec").encode_batch([SPEECH[0], SPEECH[0][:9000]]).tokens.numpy().tobytes())
    return made, torch.get_num_threads() == threads


def by_fork(job):
    """The same in a child of os.fork, through a pipe."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        made, threads_kept = job()
        with open(writing, "wb") as pipe:
            pipe.write(bytes([threads_kept]) + b"".join(made))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = pipe.read()
    os.wait()
    return found


def main():
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # starts torch's threads before bitfloor is imported
    torch.nn.functional.gelu(torch.ones(1000, 1000))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        early = pool.apply(files)
    late = files()
    print("same" if early == late == (late[0], True) else "other", flush=True)

    expected = bytes([True]) + b"".join(late[0])
    print("same" if by_fork(files) == expected else "other", flush=True)

    worker = threading.Thread(target=lambda: [files() for _ in range(3)])
    worker.start()  # so that the fork comes while another thread is inside a codec
    print("same" if by_fork(files) == expected else "other", flush=True)
    worker.join()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("same" if pool.starmap(files, [()] * 2) == [late] * 2 else "other", flush=True)


if __name__ == "__main__":
    sys.exit(main())
