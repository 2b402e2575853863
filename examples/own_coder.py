"""A small lossless coder of grey rows on bitfloor's tables and range coder: python examples/own_coder.py"""

# --8<-- [start:example]
import numpy as np

from bitfloor import entropy_coding as ec

rows = (128 + 60 * np.sin(np.arange(64 * 64).reshape(64, 64) / 9)).astype(np.int32)
residuals = np.diff(rows, axis=1, prepend=128)  # each sample from the one before it
scale = np.abs(residuals).mean(1, keepdims=True) * 1.25  # one scale a row
indexes = np.abs(np.asarray(ec.SCALES) - scale).argmin(1).astype(np.int32)  # this is what the file must hold

tables = ec.gaussian_tables()
encoder = ec.RangeEncoder()
encoder.encode_uniform(indexes, len(ec.SCALES))
encoder.encode(residuals.ravel(), np.repeat(indexes, 64), tables)
data = encoder.finish()

decoder = ec.RangeDecoder(data)
found = decoder.decode_uniform(64, len(ec.SCALES))
decoded = decoder.decode(np.repeat(found, 64).astype(np.int32), tables).reshape(64, 64)
print(f"{rows.size} samples in {len(data)} bytes")
# --8<-- [end:example]
assert np.array_equal(np.cumsum(decoded, axis=1) + 128, rows)
