"""The files of pictures that a segment becomes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpen_video.faces import LayeredFrame
from gpen_video.media import Carriage, EncoderPlan, FrameWriter, SideOutput
from gpen_video.media.side_data import TimedMessages
from gpen_video.types import VideoInfo

VIDEO = "video"
"""Kind of the restored pictures; ``matte`` and ``layer`` are the others."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """How pictures of a kind are encoded."""

    encoder: EncoderPlan
    like: VideoInfo


def picture_files(
    carriage: Carriage, behind: VideoInfo, side_outputs: Mapping[str, SideOutput]
) -> dict[str, PictureFile]:
    """How each kind of a film's pictures is encoded.

    Args:
        carriage: Of the result.
        behind: The film as the result will be.
        side_outputs: Matte and layer, by kind.
    """
    files = {VIDEO: PictureFile(carriage.encoder, behind)}
    return files | {kind: PictureFile(out.carriage.encoder, out.like) for kind, out in side_outputs.items()}


@contextmanager
def written_segment(
    files: Mapping[str, PictureFile], path_of: Callable[[str], Path], messages: TimedMessages | None
) -> Iterator[Callable[[LayeredFrame], None]]:
    """Encode a segment; its files are whole when the block ends, and gone when it fails.

    Args:
        files: By kind.
        path_of: Where the file of a kind is to be.
        messages: Captions for the restored pictures.

    Yields:
        A function that takes each finished frame.

    Raises:
        EncodeError: An encoder refuses a frame.
        OutputError: A file cannot be written.
    """
    writers: dict[str, FrameWriter] = {}

    def take(item: LayeredFrame) -> None:
        for kind, frame in ((VIDEO, item.frame), ("matte", item.matte), ("layer", item.layer)):
            if frame is not None and kind in writers:
                writers[kind].add(frame)

    try:
        for kind, file in files.items():
            told = messages if kind == VIDEO else None
            writers[kind] = FrameWriter(path_of(kind), file.encoder, file.like, told)
        yield take
        for writer in writers.values():
            writer.finish()
    except BaseException:
        for writer in writers.values():
            writer.discard()
        raise
