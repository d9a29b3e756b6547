"""Which faces are restored: in the stages alone, and in a chain of real ones with real weights."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpen_video.config import Settings
from gpen_video.errors import ConfigError, UsageError
from gpen_video.faces import Aligner, LayeredFrame, LayerWish, mask_faces, paste_layers
from gpen_video.media import decode, probe
from gpen_video.media.fields import split_fields
from gpen_video.pipeline import Extras, crop_faces, inspect_video, load_models, restore_video
from gpen_video.pipeline.choose import Choice, choose_faces, directed, plan_choice
from gpen_video.pipeline.cues import Cue, CueSheet
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.reading import plan_reading
from gpen_video.pipeline.track_basis import TrackBasis
from gpen_video.pipeline.track_numbers import TrackNumbers
from gpen_video.report import Column, Decision, read_record
from gpen_video.restore import restore_faces
from gpen_video.types import Frame, FrameFaces, TrackedFace
from tests.faces.scenes import FORMATS, frame_of, gray_frame, noise_picture, tracked_at
from tests.pipeline.clips import interlaced, two_people
from tests.pipeline.test_run import Watcher

SETTINGS = Settings.model_validate({"detect": {"long_side": 384}, "blend": {"grain": "none"}})
FRAMES = 6


def sheet_of(*cues: Cue, tracks: int = 9) -> CueSheet:
    basis = TrackBasis("gpen-video", "film", 1, "", {})
    return CueSheet(Path("cues.csv"), basis, 100, tracks, {cue.track: cue for cue in cues})


def face(track: int) -> TrackedFace:
    return replace(tracked_at(160, 120, 60), track_id=track)


def passing(*tracks: int) -> FrameFaces[TrackedFace]:
    return FrameFaces(gray_frame(), tuple(face(track) for track in tracks))


def kept(choice: Choice, *tracks: int) -> list[int]:
    (item,) = choose_faces([passing(*tracks)], choice)
    return [face.track_id for face in item.faces]


def test_by_number_by_sheet_and_by_both() -> None:
    assert kept(Choice(TrackNumbers.parse("1,3-5")), *range(7)) == [1, 3, 4, 5]
    assert kept(Choice(TrackNumbers.parse("not:1,3-5")), *range(7)) == [0, 2, 6]
    sheet = sheet_of(Cue(1, 0.5), Cue(2, 0.0), Cue(4, 1.0, ((0, 0.0), (9, 1.0))), Cue(5, 1.0, ((3, 0.0),)))
    assert kept(Choice(sheet=sheet), *range(7)) == [1, 4], "not in the sheet, or never stronger than 0: left out"
    assert kept(Choice(TrackNumbers.parse("not:1"), sheet), *range(7)) == [4]
    assert kept(Choice(), 0, 1) == [0, 1]


def test_who_is_left_out_is_told_and_who_came_is_noted() -> None:
    left: list[tuple[int, int]] = []
    first: dict[int, int] = {}
    stream = [FrameFaces(gray_frame(index), passing(*tracks).faces) for index, tracks in enumerate([(), (0,), (0, 1)])]
    list(choose_faces(stream, Choice(TrackNumbers.parse("1")), first, lambda *what: left.append(what)))
    assert left == [(1, 0), (2, 0)]
    assert first == {0: 1, 1: 2}


def test_strength_multiplies_what_the_crop_has() -> None:
    frame = gray_frame(5)
    crops = tuple(replace(Aligner(32).crop(frame, face(track)), strength=0.5) for track in (0, 1))
    choice = Choice(sheet=sheet_of(Cue(0), Cue(1, 0.5, ((0, 0.0), (10, 1.0)))))
    (item,) = directed([FrameFaces(frame, crops)], choice)
    assert item.faces[0] is crops[0], "nothing to change"
    assert item.faces[1].strength == pytest.approx(0.5 * 0.5 * 0.5)


def test_both_fields_of_a_frame_are_that_frame() -> None:
    frames = [frame_of(noise_picture(FORMATS["yuv420p"]), index) for index in range(4)]
    choice = Choice(sheet=sheet_of(Cue(0, 1.0, ((1, 1.0), (2, 0.5)), 1)))
    first: dict[int, int] = {}
    left: list[tuple[int, int]] = []
    tracked = [FrameFaces(field, (face(0), face(7))) for field in split_fields(frames, "top") if field.index >= 2]
    chosen = choose_faces(tracked, choice, first, lambda *what: left.append(what))
    made = list(directed(crop_faces(chosen, Aligner(32)), choice))
    assert [item.faces[0].strength for item in made] == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert first == {0: 1, 7: 1}
    assert left == [(1, 7), (1, 7), (2, 7), (2, 7), (3, 7), (3, 7)]
    assert list(choice.warnings(first)) == []


def test_what_never_came_is_said_by_name() -> None:
    assert list(Choice(TrackNumbers.parse("1,8-12")).warnings({0: 0, 1: 3, 9: 5})) == [
        "--faces 1,8-12: there was no track 8,10-12 in this film"
    ]
    assert list(Choice(TrackNumbers.parse("not:4")).warnings({0: 0})) == [
        "--faces not:4: there was no track 4 in this film"
    ]
    choice = Choice(sheet=sheet_of(Cue(0, first_frame=0), Cue(1, first_frame=7), Cue(2, 0.0), Cue(3)))
    assert list(choice.warnings({0: 0, 1: 8, 2: 5})) == [
        "cues.csv: there was no track 3 in this film",
        "cues.csv: track 1 began at another frame than the sheet says: its rows may be mixed up",
    ]
    assert list(choice.warnings({0: 0, 1: 7, 3: 9})) == []


# A chain of real stages.


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_people(tmp_path_factory.mktemp("film") / "two.mkv", FRAMES)


@pytest.fixture(scope="module")
def quick(small_network: str) -> Settings:
    return Settings.model_validate({**SETTINGS.model_dump(), "restore": {"weights": small_network}})


@pytest.fixture(scope="module")
def cues(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracks") / "two"
    inspection = inspect_video(film, SETTINGS, tracks=folder)
    assert [track.track_id for track in inspection.tracks] == [0, 1], "one at the left, one at the right"
    return folder / "cues.csv"


def restored(film: Path, settings: Settings, choice: Choice | None) -> Iterator[tuple[Frame, LayeredFrame]]:
    """Source and result, wired as a run is, the choice after tracking and its strengths after cropping."""
    reading, models = plan_reading(probe(film), settings.media), load_models(settings)
    sources: list[Frame] = []

    def noted(item: FrameFaces[TrackedFace]) -> FrameFaces[TrackedFace]:
        sources.append(item.frame)
        return item

    with ExitStack() as owned:
        tracked = map(noted, Film(reading, settings, models, owned).tracked())
        chosen = tracked if choice is None else choose_faces(tracked, choice)
        cropped = crop_faces(chosen, Aligner(models.restorer.size, models.template, reading.pixel_aspect))
        faces = cropped if choice is None else directed(cropped, choice)
        masked = mask_faces(restore_faces(faces, models.restorer, max_wait=2), settings.blend)
        for item in paste_layers(masked, settings.blend, LayerWish()):
            yield sources[item.frame.index], item


def changes(film: Path, settings: Settings, choice: Choice | None) -> np.ndarray:
    """(frames, 2), mean change of brightness in the left and the right half."""
    rows = []
    for source, result in restored(film, settings, choice):
        before, after = (frame.picture.planes[0].astype(float) for frame in (source, result.frame))
        change = np.abs(after - before)
        half = change.shape[1] // 2
        rows.append([change[:, :half].mean(), change[:, half:].mean()])
    return np.array(rows)


def test_one_of_two_people_is_left_as_she_is(film: Path, cues: Path) -> None:
    info = probe(film)
    everyone = changes(film, SETTINGS, None)
    assert (everyone > 0).all()
    left = changes(film, SETTINGS, plan_choice(TrackNumbers.parse("0"), None, info, SETTINGS))
    which = 0 if left[0, 0] > 0 else 1
    assert (left[:, 1 - which] == 0).all(), "not a sample of the other one is touched"
    np.testing.assert_array_equal(left[:, which], everyone[:, which])

    rows = cues.read_text(encoding="utf-8").splitlines()
    last = FRAMES - 1
    assert rows[1].startswith(f"0,0,0,{last},{FRAMES},")
    faded = cues.with_name("faded.csv")
    faded.write_text("\n".join([rows[0], f"{rows[1]}0:1 {last}:0", rows[3]]) + "\n", encoding="utf-8")
    fading = changes(film, SETTINGS, plan_choice(None, faded, info, SETTINGS))
    assert (fading[:, 1 - which] == 0).all(), "a row that was deleted"
    ratio = fading[:, which] / everyone[:, which]
    np.testing.assert_allclose(ratio, np.linspace(1, 0, FRAMES), atol=0.12)
    assert fading[-1, which] == 0


def test_a_run_restores_whom_it_is_told_to(film: Path, cues: Path, quick: Settings, tmp_path: Path) -> None:
    ffv1 = {"codec": "ffv1", "crf": None, "preset": None}
    settings = quick.model_copy(update={"encode": quick.encode.model_copy(update=ffv1)})
    rows = cues.read_text(encoding="utf-8").splitlines()
    only_the_first = tmp_path / "first.csv"
    only_the_first.write_text("\n".join([rows[0], rows[1], rows[3]]) + "\n", encoding="utf-8")
    for name, extras in (
        ("numbers", Extras(faces=TrackNumbers.parse("0,7"), report=tmp_path / "numbers.json")),
        ("sheet", Extras(cues=only_the_first, report=tmp_path / "sheet.json")),
    ):
        watcher, target = Watcher(), tmp_path / f"{name}.mkv"
        summary = restore_video(film, target, settings, extras=extras, observer=watcher)
        assert (summary.faces, summary.tracks) == (FRAMES, 1)
        record = read_record(tmp_path / f"{name}.json")
        assert [track.id for track in record.tracks] == [0]
        left = Decision(0, FRAMES - 1, 1, "not chosen")
        assert left in record.decisions
        middle = record.tracks[0].faces[0, Column.NOSE_X]
        with closing(decode(probe(film))) as before, closing(decode(probe(target))) as after:
            for one, other in zip(before, after, strict=True):
                changed = one.picture.planes[0] != other.picture.planes[0]
                half = changed.shape[1] // 2
                assert changed[:, :half].any() == (middle < half) and changed[:, half:].any() == (middle >= half)
        warned = [line for line in watcher.warnings if "no track" in line]
        assert warned == (["--faces 0,7: there was no track 7 in this film"] if name == "numbers" else [])


def test_everything_wrong_with_a_sheet_is_known_before_decoding(film: Path, cues: Path, tmp_path: Path) -> None:
    info = probe(film)
    assert plan_choice(None, cues, info, SETTINGS) is not None
    with pytest.raises(UsageError, match=r"made with detect.long_side = 384 \(now 385\)"):
        plan_choice(
            None,
            cues,
            info,
            SETTINGS.model_copy(update={"detect": SETTINGS.detect.model_copy(update={"long_side": 385})}),
        )
    with pytest.raises(UsageError, match="has no track 2"):
        plan_choice(TrackNumbers.parse("1,2"), cues, info, SETTINGS)
    other = two_people(tmp_path / "other.mkv", 3)
    with pytest.raises(UsageError, match=r"made from another film \(two.mkv, .*other.mkv"):
        plan_choice(None, cues, probe(other), SETTINGS)
    broken = tmp_path / "broken.csv"
    broken.write_text(cues.read_text(encoding="utf-8").replace(",1.0,", ",11.0,"), encoding="utf-8")
    nowhere = tmp_path / "none.mkv"
    with pytest.raises(ConfigError, match=r"broken.csv, line 2: strength is 11.0"):
        Extras(cues=broken).check(nowhere, tmp_path / "out.mkv", overwrite=False)
    with pytest.raises(UsageError, match="another file of this run"):
        Extras(cues=cues, report=cues).check(film, tmp_path / "out.mkv", overwrite=True)
    with pytest.raises(UsageError, match="is the cue sheet"):
        Extras(cues=cues, matte=cues).check(film, tmp_path / "out.mkv", overwrite=True)


def tracks_of_a_run(film: Path, settings: Settings) -> dict[int, tuple[int, int, int, float]]:
    """First frame, last frame, number of frames and mean size of each track, as a run sees them."""
    reading, models = plan_reading(probe(film), settings.media), load_models(settings)
    fields = 2 if reading.first_field else 1
    frames: dict[int, list[int]] = {}
    sizes: dict[int, list[float]] = {}
    with ExitStack() as owned:
        for item in Film(reading, settings, models, owned).tracked():
            for one in item.faces:
                frames.setdefault(one.track_id, []).append(item.frame.index // fields)
                if one.detection is not None:
                    width, height = np.diff(one.detection.box_xyxy.reshape(2, 2), axis=0)[0]
                    sizes.setdefault(one.track_id, []).append(float(np.sqrt(width * height * fields)))
    return {track: (at[0], at[-1], len(set(at)), float(np.mean(sizes[track]))) for track, at in frames.items()}


@pytest.mark.parametrize(
    "media", [{}, {"deinterlace": True}, {"filters": "hflip,crop=300:200:20:40"}, {"fields": "frames"}], ids=str
)
def test_an_inspection_numbers_tracks_as_a_run_does(media: dict[str, object], tmp_path: Path) -> None:
    film = interlaced(tmp_path / "film.mkv", 6)
    settings = Settings.model_validate({"media": media, "detect": {"long_side": 384}})
    inspection = inspect_video(film, settings, tracks=tmp_path / "tracks")
    assert inspection.frames == sum(shot.frame_count for shot in inspection.shots) == 6
    run = tracks_of_a_run(film, settings)
    assert [track.track_id for track in inspection.tracks] == sorted(run) != []
    for track in inspection.tracks:
        found = (track.first_frame, track.last_frame, track.faces, track.mean_face_size)
        assert found == pytest.approx(run[track.track_id], rel=1e-5), "also the sizes: the same pictures were looked at"
    assert all(track.shot == 0 for track in inspection.tracks)
