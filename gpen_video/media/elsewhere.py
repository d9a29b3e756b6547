"""A film that lies on no disk of this machine, opened for libav all the same."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import av
from av.container import InputContainer

from gpen_video.errors import GpenVideoError, ProbeError
from gpen_video.types import FilmBytes, FilmReader, VideoInfo

_AT_ONCE: Final = 2**18
"""Bytes that libav asks for."""


@contextmanager
def opened_elsewhere(info: VideoInfo, reader: FilmReader) -> Iterator[InputContainer]:
    """The film that `info` describes, opened for reading through `reader`.

    Raises:
        ProbeError: It is not the film that it was.
        GpenVideoError: What the reader says when the film cannot be read to its end, whatever libav makes of that.
    """
    with closing(reader.open()) as file:
        guarded = _Guarded(file)
        try:
            with _open(info, guarded) as container:
                yield container
        finally:
            guarded.raise_if_failed()


def _open(info: VideoInfo, file: "_Guarded") -> InputContainer:
    # A name's ending tells libav what some films are; a file without a name has none.
    demuxer = info.container.split(",")[0]
    try:
        return av.open(file, "r", format=demuxer, metadata_errors="replace", buffer_size=_AT_ONCE)
    except (av.FFmpegError, OSError) as error:
        raise ProbeError(f"{info.path} has changed since it was looked at; start again") from error


class _Guarded:
    """To libav, a failure to read is the end of the film: were it raised at each further try, PyAV would print it.

    It is kept, to be told when the film is closed.
    """

    def __init__(self, file: FilmBytes) -> None:
        self._file = file
        self._failure: GpenVideoError | None = None

    def read(self, size: int) -> bytes:
        if self._failure is None:
            try:
                return self._file.read(size)
            except GpenVideoError as error:
                self._failure = error
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def raise_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure
