"""The stage contract of ARCHITECTURE.md, over every stage: one suite, real parts, a small film with a cut."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from gpen_video.config import BlendSettings, GateSettings, GuardSettings, ShotSettings, TrackSettings
from gpen_video.faces import (
    Aligner,
    LayerWish,
    RetinaFaceDetector,
    gate_faces,
    guard_faces,
    mask_faces,
    paste_faces,
    paste_layers,
    track_delay,
    track_faces,
)
from gpen_video.faces.grain import GRAIN_DELAY, match_grain
from gpen_video.media import mark_shots, shot_delay
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.pipeline import crop_faces, detect_faces, prefetch
from gpen_video.pipeline.choose import Choice, choose_faces, directed
from gpen_video.pipeline.cues import Cue, CueSheet
from gpen_video.pipeline.record import Recorder, recorded
from gpen_video.pipeline.stages import detect_delay
from gpen_video.pipeline.track_basis import TrackBasis
from gpen_video.restore import STEADY_DELAY, GpenRestorer, restore_delay, restore_faces, steady_faces
from gpen_video.types import ColourSpec, Frame, FrameFaces, Picture, PixelFormat, Timestamp
from gpen_video.weights import load_detector
from tests.upstream import Upstream

Stage = Callable[[Iterable[Any]], Generator[Any]]

TRACK = TrackSettings(lag=3, min_hits=2)
BLEND = BlendSettings()
BATCH, WAIT, DEPTH = 3, 4, 2
FRAMES, CUT = 15, 8
CHOICE = Choice(
    sheet=CueSheet(
        Path("cues.csv"), TrackBasis("", "", 0, "", {}), FRAMES, 2, {1: Cue(1, 0.5, ((CUT, 0.0), (FRAMES - 1, 1.0)))}
    )
)
"""The face of the second shot, stronger and stronger."""
GBR = PixelFormat("gbrp", "rgb", 8)


def picture(index: int, *, faces: bool) -> Picture:
    """The portrait, drifting, and mirrored after the cut; or a wall in its place."""
    rgb = astronaut()[:256, 96:352]
    rgb = rgb if faces else np.ascontiguousarray(np.repeat(rgb[:, :1], 256, axis=1))
    shift = np.array([[1, 0, 0.7 * index], [0, 1, 0.4 * index]])
    rgb = cv2.warpAffine(rgb, shift, (256, 256), borderMode=cv2.BORDER_REFLECT_101)
    if index >= CUT:
        rgb = np.ascontiguousarray(rgb[:, ::-1] // 2 + 100)
    planes = tuple(np.ascontiguousarray(rgb[:, :, channel]) for channel in (1, 2, 0))
    for plane in planes:
        plane.flags.writeable = False
    return Picture(planes, GBR, ColourSpec(matrix="gbr", full_range=True))


def film(*, faces: bool = True) -> list[Frame]:
    return [
        Frame(i, Timestamp(1000 + 512 * i, Fraction(1, 12800)), picture(i, faces=faces), 512, i in (0, CUT))
        for i in range(FRAMES)
    ]


@cache
def detector() -> RetinaFaceDetector:
    net = load_detector("retinaface-mobile0.25").net
    return RetinaFaceDetector(net, device=torch.device("cpu"), score=0.5, min_face=0)


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    torch.manual_seed(0)
    net = Gpen(GpenConfig(64, narrow=1 / 16, style_dim=32, mapping_layers=2))
    restorer = GpenRestorer(net, device=torch.device("cpu"), batch=BATCH)
    return {
        "shots": lambda stream: mark_shots(stream, ShotSettings()),
        "detect": lambda stream: detect_faces(stream, detector(), long_side=256, min_face=16, batch=BATCH),
        "track": lambda stream: track_faces(stream, TRACK),
        "crop": lambda stream: crop_faces(stream, Aligner(64)),
        "restore": lambda stream: restore_faces(stream, restorer, max_wait=WAIT, steady_latent=0.7),
        "steady": lambda stream: steady_faces(stream, strength=0.8),
        "grain": match_grain,
        "mask": lambda stream: mask_faces(stream, BLEND),
        "paste": lambda stream: paste_faces(stream, BLEND),
    }


DELAYS = {
    "shots": shot_delay(ShotSettings()),
    "detect": BATCH - 1,
    "track": track_delay(TRACK),
    "crop": 0,
    "restore": restore_delay(WAIT),
    "steady": STEADY_DELAY,
    "grain": GRAIN_DELAY,
    "mask": 0,
    "paste": 0,
    "prefetch": DEPTH + 1,
    "choose": 0,
    "direct": 0,
    "gate": 0,
    "guard": 0,
    "record": 0,
    "paste layers": 0,
    "detect every third": detect_delay(BATCH, 3),
}
NAMES = list(DELAYS)
ASIDE: dict[str, tuple[Stage, str]] = {
    "prefetch": (lambda stream: prefetch(iter(stream), DEPTH), "track"),
    "choose": (lambda stream: choose_faces(stream, CHOICE, {}), "crop"),
    "direct": (lambda stream: directed(stream, CHOICE), "restore"),
    "detect every third": (
        lambda stream: detect_faces(stream, detector(), long_side=256, min_face=16, batch=BATCH, every=3),
        "detect",
    ),
    "gate": (lambda stream: gate_faces(stream, GateSettings()), "restore"),
    "guard": (lambda stream: guard_faces(stream, GuardSettings()), "grain"),
    "record": (lambda stream: recorded(stream, Recorder()), "paste"),
    "paste layers": (lambda stream: paste_layers(stream, BLEND, LayerWish(matte=True, layer=True)), "paste"),
}
"""Stages that stand beside the chain, and the one whose input they take."""


@dataclass(eq=False)
class Case:
    """A stage and what it gets, with faces and without."""

    stage: Stage
    with_faces: list[Any]
    without_faces: list[Any]


@pytest.fixture(scope="module")
def inputs(stages: dict[str, Stage]) -> dict[str, tuple[list[Any], list[Any]]]:
    """What each stage receives in a run: the output of the stages above it, read-only."""
    made: dict[str, tuple[list[Any], list[Any]]] = {}
    now: tuple[list[Any], list[Any]] = (film(), film(faces=False))
    for name, stage in stages.items():
        made[name] = now
        now = (list(stage(now[0])), list(stage(now[1])))
        for item in (*now[0], *now[1]):
            freeze(item)
    for name, (_, place) in ASIDE.items():
        made[name] = made[place]
    return made


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, stages: dict[str, Stage], inputs: dict[str, Any]) -> Case:
    stage = stages[request.param] if request.param in stages else ASIDE[request.param][0]
    return Case(stage, *inputs[request.param])


@pytest.fixture
def delay(request: pytest.FixtureRequest) -> int:
    return DELAYS[request.node.callspec.params["case"]]


def freeze(item: Any) -> None:
    for array in arrays(item):
        array.flags.writeable = False


def arrays(item: Any) -> Iterator[np.ndarray]:
    """All arrays of an item, however deep."""
    if isinstance(item, np.ndarray):
        yield item
    elif isinstance(item, tuple):
        for part in item:
            yield from arrays(part)
    elif hasattr(item, "__dataclass_fields__"):
        for name in item.__dataclass_fields__:
            yield from arrays(getattr(item, name))


def strengths_of(item: Any) -> list[float]:
    """Of all faces of an item, where they have one."""
    return [face.strength for face in getattr(item, "faces", ()) if hasattr(face, "strength")]


def frame_of(item: Any) -> Frame:
    return item if isinstance(item, Frame) else item.frame


def faces_of(items: Iterable[Any]) -> int:
    return sum(len(item.faces) for item in items if isinstance(item, FrameFaces))


def test_the_film_has_faces(inputs: dict[str, Any]) -> None:
    for name in ("track", "crop", "restore", "grain", "mask", "paste"):
        assert faces_of(inputs[name][0]) >= FRAMES - 2
        assert faces_of(inputs[name][1]) == 0


@pytest.mark.parametrize("kind", ["with_faces", "without_faces"])
def test_order_is_kept_and_one_frame_comes_out_for_each(case: Case, kind: str) -> None:
    given = getattr(case, kind)
    made = list(case.stage(given))
    assert [frame_of(item).index for item in made] == list(range(FRAMES))
    assert [frame_of(item).time for item in made] == [frame_of(item).time for item in given]
    assert [frame_of(item).duration for item in made] == [512] * FRAMES


@pytest.mark.parametrize("kind", ["with_faces", "without_faces"])
def test_no_more_is_held_back_than_the_stated_delay(case: Case, kind: str, delay: int) -> None:
    upstream = Upstream(getattr(case, kind))
    for given_out, _ in enumerate(case.stage(upstream.stream())):
        assert upstream.taken - given_out - 1 <= delay


def test_no_state_goes_over_a_cut(case: Case) -> None:
    """The second shot comes out as it does alone, but for the numbers of its tracks."""
    whole = list(case.stage(case.with_faces))[CUT:]
    second = case.with_faces[CUT:]
    alone = list(case.stage(second))
    for a, b in zip(whole, alone, strict=True):
        assert faces_of([a]) == faces_of([b])
        for x, y in zip(arrays(a), arrays(b), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-3)
        assert strengths_of(a) == pytest.approx(strengths_of(b), abs=1e-6)


def test_nothing_received_is_written_to(case: Case) -> None:
    before = [[array.copy() for array in arrays(item)] for item in case.with_faces]
    list(case.stage(case.with_faces))
    for item, copies in zip(case.with_faces, before, strict=True):
        for array, copy in zip(arrays(item), copies, strict=True):
            assert not array.flags.writeable
            assert np.array_equal(array, copy)


@pytest.mark.parametrize("error_at", [0, 7])
def test_an_error_upstream_passes_through_unchanged(case: Case, error_at: int) -> None:
    threads = threading.active_count()
    upstream = Upstream(case.with_faces, error_at)
    with pytest.raises(OSError) as caught:
        list(case.stage(upstream.stream()))
    assert caught.value is upstream.error
    assert upstream.closed
    assert threading.active_count() == threads


def test_closing_a_stage_closes_what_is_above_it(case: Case) -> None:
    threads = threading.active_count()
    upstream = Upstream(case.with_faces)
    stage = case.stage(upstream.stream())
    next(stage)
    stage.close()
    assert upstream.closed
    assert threading.active_count() == threads


def test_the_cut_is_found_where_it_is() -> None:
    unmarked = [replace(frame, starts_shot=False) for frame in film()]
    assert [frame.index for frame in mark_shots(unmarked, ShotSettings()) if frame.starts_shot] == [0, CUT]
