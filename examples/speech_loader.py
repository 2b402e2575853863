"""Speech tokens from a PyTorch DataLoader, and back into sound: python examples/speech_loader.py"""

import numpy as np
import soundfile
from torch.utils.data import DataLoader

from bitfloor import weights

samples, rate = soundfile.read(weights.BOX / "demo.flac", dtype="float32")
clips = [samples[:16_000], samples[16_000:40_000], samples[:9_000]]

# --8<-- [start:example]
import bitfloor

codec = bitfloor.load("secodec")


def tokenise(clips):  # what DataLoader puts together: a list of arrays or tensors (T,), of any lengths
    return codec.encode_batch(clips, sample_rate=rate)


for tokens, mask, gain_db, lengths in DataLoader(clips, batch_size=2, collate_fn=tokenise):
    # tokens (B, L, F), mask (B, F): a language model sees 0 where a clip has ended, and the mask
    inputs = tokens.masked_fill(~mask[:, None], 0)
    heard = codec.decode_batch(tokens, mask, gain_db=gain_db, lengths=lengths)
    print(f"{tuple(inputs.shape)} tokens, {tuple(heard.shape)} samples at {codec.sample_rate} Hz")
# --8<-- [end:example]

# --8<-- [start:stream]
frames = codec.encode_batch([clips[0]], sample_rate=rate).tokens[0].T  # from your model: (L,) one after the other
for block in codec.decode_frames(frames, chunk=10):  # samples long before the last frame is there
    print(f"{len(block)} samples")
# --8<-- [end:stream]

alone = codec.tokens((clips[-1], rate))
assert np.array_equal(tokens[0, :, mask[0]].T, alone)
