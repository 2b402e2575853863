"""Codebooks, their files, the two quantisers and k-means."""

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist
from structural_reference import dense, encoding_tree_entropy

from bitfloor.entropy_models.structural import Codebook, kmeans, neighbour_graph, quantise
from bitfloor.entropy_models.structural.kmeans import nearest_centroid
from bitfloor.errors import ModelError, UsageError


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((12, 5))
    return (centres[rng.integers(0, 12, 260)] + 0.6 * rng.standard_normal((260, 5))).astype(np.float32)


@pytest.fixture(scope="module")
def codebook(frames):
    return Codebook.extract(frames[:200], 6, lift=0)


def test_the_codebook_holds_the_statistics_of_its_graph(frames, codebook):
    matrix = dense(neighbour_graph(frames[:200], 6)[0])
    for code in range(codebook.size):
        member = codebook.labels == code
        np.testing.assert_allclose(codebook.centroids[code], frames[:200][member].mean(axis=0), rtol=1e-5)
        assert codebook.volumes[code] == pytest.approx(matrix[member].sum())
        assert codebook.inner[code] == pytest.approx(matrix[np.ix_(member, member)].sum())
    assert 3 < codebook.size < 100


def test_structural_rule_is_the_least_entropy_with_the_frame_attached(frames, codebook):
    # Definition: attach the frame to its k nearest stored frames, evaluate H2 of the whole graph by code.
    stored, new = frames[:200], frames[200:225]
    matrix = dense(neighbour_graph(stored, 6)[0])
    similar = 1 - cdist(new.astype(np.float64), stored.astype(np.float64), "cosine")
    codes = quantise(codebook, new)
    for frame in range(len(new)):
        near = np.argsort(-similar[frame])[:6]
        attached = np.pad(matrix, (0, 1))
        attached[-1, near] = attached[near, -1] = np.maximum(similar[frame][near], 0)
        entropy = [encoding_tree_entropy(attached, [*codebook.labels, c]) for c in range(codebook.size)]
        assert codes[frame] == np.argmin(entropy)
    assert (codes != quantise(codebook, new, "nearest")).any(), "the example must tell the rules apart"


def test_nearest_rule_is_the_smallest_distance(frames, codebook):
    expected = cdist(frames[200:], codebook.centroids).argmin(axis=1)
    np.testing.assert_array_equal(quantise(codebook, frames[200:], "nearest"), expected)


def test_a_frame_without_positive_cosine_takes_the_nearest_centroid():
    stored = np.array([[1, 0.1], [1, 0.2], [1, -0.1], [0.1, 1], [0.2, 1], [0, 1]], dtype=np.float32)
    codebook = Codebook.extract(stored, 2, lift=0)
    assert codebook.size == 2
    frames = np.array([[-1, -0.5], [-0.5, -1], [0, 0], [5, 1]], dtype=np.float32)
    codes = quantise(codebook, frames)
    np.testing.assert_array_equal(codes[:3], quantise(codebook, frames[:3], "nearest"))
    assert codes[3] == codebook.labels[0]


def test_isolated_frames_make_no_codes():
    stored = np.array([[1, 0.1], [1, 0.2], [0, 0], [0.1, 1], [0.2, 1], [-1, -1]], dtype=np.float32)
    codebook = Codebook.extract(stored, 1, lift=0)
    assert codebook.size == 2
    np.testing.assert_array_equal(codebook.labels[[0, 1, 3, 4]], [0, 0, 1, 1])
    assert (codebook.volumes > 0).all()
    # Without any edge every frame is its own code, and quantising still answers.
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
    codebook = Codebook.extract(opposite, 1, lift=0)
    np.testing.assert_array_equal(quantise(codebook, opposite, "nearest"), [0, 1])


def test_lift_is_a_constant_coordinate(frames):
    # The same codebook and codes from frames that carry the coordinate themselves.
    codebook = Codebook.extract(frames[:200], 6, lift=0.7)
    constant = 0.7 * np.sqrt((frames[:200] ** 2).sum(axis=1).mean())
    assert codebook.lift == pytest.approx(constant)
    tall = np.concatenate([frames, np.full((260, 1), constant, np.float32)], axis=1)
    by_hand = Codebook.extract(tall[:200], 6, lift=0)
    np.testing.assert_array_equal(codebook.labels, by_hand.labels)
    np.testing.assert_array_equal(quantise(codebook, frames[200:]), quantise(by_hand, tall[200:]))
    assert codebook.centroids.shape[1] == frames.shape[1]


def test_lift_tells_loud_from_soft():
    soft = np.random.default_rng(1).normal(1, 0.05, (30, 4)).astype(np.float32)
    both = np.concatenate([soft, 4 * soft])
    loudness = np.repeat([0, 1], 30)
    for lift, separate in ((0, False), (1, True)):
        labels = Codebook.extract(both, 5, lift=lift).labels
        assert all(len(set(loudness[labels == c])) == 1 for c in set(labels)) == separate


def test_quantising_what_is_stored_gives_mostly_its_own_code(frames, codebook):
    # A frame that is stored finds itself among its neighbours, with the largest weight.
    assert (quantise(codebook, frames[:200]) == codebook.labels).mean() > 0.9


def test_files(tmp_path, frames, codebook):
    codebook.save(tmp_path / "codes.safetensors")
    loaded = Codebook.load(tmp_path / "codes.safetensors")
    for name, array in codebook.to_arrays().items():
        np.testing.assert_array_equal(loaded.to_arrays()[name], array)
    np.testing.assert_array_equal(quantise(loaded, frames[200:]), quantise(codebook, frames[200:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": None}, "lacks nodes"),
        ({"volumes": np.ones(3)}, "fit"),
        ({"labels": np.full(200, 99_999, dtype=np.int32)}, "does not exist"),
        ({"k": np.array([0])}, "fit"),
    ],
)
def test_arrays_that_are_refused(codebook, change, message):
    arrays = {n: a for n, a in (codebook.to_arrays() | change).items() if a is not None}
    with pytest.raises(ModelError, match=message):
        Codebook.from_arrays(arrays)


def test_files_that_are_refused(tmp_path):
    (tmp_path / "broken").write_bytes(b"\xff" * 20)
    for name in ("missing", "broken"):
        with pytest.raises(ModelError, match="cannot read"):
            Codebook.load(tmp_path / name)


def test_requests_that_are_refused(codebook, frames):
    with pytest.raises(UsageError, match="unknown rule"):
        quantise(codebook, frames, "best")
    with pytest.raises(UsageError, match="codes must lie"):
        codebook.dequantise(np.array([codebook.size]))
    with pytest.raises(UsageError, match="dimensions"):
        quantise(codebook, frames[:, :3])
    with pytest.raises(UsageError, match="no nearest code"):
        quantise(codebook, frames[:, :3], "nearest")
    with pytest.raises(UsageError, match="cannot be made"):
        kmeans(frames, frames.shape[0] + 1)


def test_kmeans_is_a_fixed_point_as_good_as_scipys(frames):
    labels = kmeans(frames, 12, iterations=100)
    centroids = np.stack([frames[labels == c].mean(axis=0) for c in range(12)])
    np.testing.assert_array_equal(cdist(frames, centroids).argmin(axis=1), labels)
    ours = cdist(frames, centroids).min(axis=1) @ cdist(frames, centroids).min(axis=1)
    theirs = min(
        (cdist(frames, kmeans2(frames, 12, iter=100, minit="++", seed=s)[0]).min(axis=1) ** 2).sum() for s in range(5)
    )
    assert ours < 1.1 * theirs
    np.testing.assert_array_equal(labels, kmeans(frames, 12, iterations=100))


def test_kmeans_of_repeated_frames_leaves_no_cluster_empty_that_could_be_filled():
    frames = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    labels = kmeans(frames, 4)
    assert len(set(labels)) == 4
    assert nearest_centroid(frames, np.eye(4, dtype=np.float32))[1].max() == 0
