"""The stage that restores: latents along tracks, and faces that need no restoring."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.restore import GpenRestorer, LatentRestorer, restore_faces
from gpen_video.types import ColourSpec, FaceCrop, Frame, FrameFaces, Picture, PixelFormat, Timestamp, TrackedFace

SIDE = 32
CPU = torch.device("cpu")
PICTURE = Picture((np.zeros((8, 8), np.uint8),), PixelFormat("gray", "gray", 8), ColourSpec())


@pytest.fixture(scope="module")
def net() -> Gpen:
    torch.manual_seed(0)
    return Gpen(GpenConfig(SIDE, narrow=1 / 16, style_dim=32, mapping_layers=2))


def crop(track: int, frame: int, strength: float = 1.0) -> FaceCrop:
    """A face of its own for each track, with fresh noise in each frame."""
    rgb = np.random.default_rng(track).random((SIDE, SIDE, 3)) * 0.6 + 0.2
    rgb += 0.05 * np.random.default_rng((track, frame)).standard_normal(rgb.shape)
    return FaceCrop(TrackedFace(track, np.zeros((5, 2)), None), rgb.astype(np.float32), np.eye(2, 3), strength)


def film(frames: int = 12, cut: int = 7, strength: float = 1.0) -> list[FrameFaces[FaceCrop]]:
    """One face, then two; after the cut, others."""
    result = []
    for i in range(frames):
        tracks = [0, 1][: 1 + (i > 3)] if i < cut else [2]
        frame = Frame(i, Timestamp(i, Fraction(1, 25)), PICTURE, starts_shot=i in (0, cut))
        result.append(FrameFaces(frame, tuple(crop(track, i, strength) for track in tracks)))
    return result


def faces(items: list[FrameFaces[FaceCrop]], restorer: GpenRestorer, **wish: float) -> list[np.ndarray]:
    return [face.rgb_hwc for item in restore_faces(items, restorer, max_wait=4, **wish) for face in item.faces]


def test_strength_0_gives_the_bits_of_frame_by_frame(net: Gpen) -> None:
    restorer = GpenRestorer(net, device=CPU)
    plain = [restorer.restore(face.rgb_hwc[None])[0] for item in film() for face in item.faces]
    for one, other in zip(faces(film(), restorer, steady_latent=0.0), plain, strict=True):
        assert np.array_equal(one, other)


def test_a_steadied_latent_changes_faces_but_not_the_first_of_a_shot(net: Gpen) -> None:
    restorer = GpenRestorer(net, device=CPU)
    plain, steadied = (list(restore_faces(film(), restorer, max_wait=4, steady_latent=s)) for s in (0.0, 0.8))
    changed = [
        not np.allclose(a.rgb_hwc, b.rgb_hwc, atol=1e-6)
        for p, s in zip(plain, steadied, strict=True)
        for a, b in zip(p.faces[:1], s.faces[:1], strict=True)
    ]
    assert not changed[0]
    assert not changed[7]
    assert any(changed[2:7])
    assert any(changed[9:])


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_make_no_difference(net: Gpen, batch: int) -> None:
    single = faces(film(), GpenRestorer(net, device=CPU, batch=1), steady_latent=0.8)
    together = faces(film(), GpenRestorer(net, device=CPU, batch=batch), steady_latent=0.8)
    np.testing.assert_allclose(np.stack(together), np.stack(single), atol=1e-4)


def test_a_film_cut_in_two_streams_gives_the_same_after_the_cut(net: Gpen) -> None:
    restorer = GpenRestorer(net, device=CPU)
    whole = faces(film(), restorer, steady_latent=0.8)[-5:]
    for one, other in zip(whole, faces(film()[7:], restorer, steady_latent=0.8), strict=True):
        assert np.array_equal(one, other)


def test_a_cut_without_faces_counts(net: Gpen) -> None:
    """The first frame of the new shot is empty, and the track's number goes on."""
    restorer = GpenRestorer(net, device=CPU)
    items = film(cut=99)[:4]
    start = Frame(4, Timestamp(4, Fraction(1, 25)), PICTURE, starts_shot=True)
    after = FrameFaces(Frame(5, Timestamp(5, Fraction(1, 25)), PICTURE), (crop(0, 5),))
    made = faces([*items, FrameFaces(start), after], restorer, steady_latent=0.9)
    assert np.array_equal(made[-1], restorer.restore(crop(0, 5).rgb_hwc[None])[0])


def test_a_face_of_strength_0_is_passed_through_and_never_computed() -> None:
    class Counting:
        size, batch = SIDE, 1
        seen = 0

        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            self.seen += len(rgb_nhwc)
            return rgb_nhwc * 0

    restorer = Counting()
    items = [item for pair in zip(film(6), film(6, strength=0.0), strict=True) for item in pair]
    made = list(restore_faces(items, restorer, max_wait=0))
    assert restorer.seen == sum(len(item.faces) for item in film(6))
    for given, item in zip(items, made, strict=True):
        for face_crop, face in zip(given.faces, item.faces, strict=True):
            assert face.crop is face_crop
            assert (face.rgb_hwc is face_crop.rgb_hwc) == (face_crop.strength == 0)


def test_a_restorer_without_a_latent_is_left_alone() -> None:
    class Plain:
        size, batch = SIDE, 1

        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            return rgb_nhwc / 2

    assert not isinstance(Plain(), LatentRestorer)
    made = list(restore_faces(film(), Plain(), max_wait=0, steady_latent=0.9))
    assert all(np.array_equal(face.rgb_hwc, face.crop.rgb_hwc / 2) for item in made for face in item.faces)
