"""Networks that are kept from one film to the next, where the next asks for the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gpen_video.config import Settings
from gpen_video.pipeline.models import Models, load_models

NetworkKey = tuple[object, ...]
"""Equal where `load_models` would give the same networks."""


class KeptModels:
    """Those of the last film alone, so that memory does not grow with the kinds of films."""

    def __init__(self, *, offline: bool = False) -> None:
        """Nothing is loaded yet; `offline` as for `load_models`."""
        self._offline = offline
        self._models: Models | None = None
        self._key: NetworkKey = ()

    def models(self, settings: Settings) -> Models:
        """The networks for these settings, to be closed here alone; what `load_models` raises."""
        key = network_key(settings)
        if self._models is None or key != self._key:
            self.forget()
            self._models, self._key = load_models(settings, offline=self._offline), key
        return self._models

    def forget(self) -> None:
        """Close them, and let go of their memory."""
        models, self._models = self._models, None
        if models is not None:
            models.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()


def network_key(settings: Settings) -> NetworkKey:
    """What of the settings `load_models` reads, and the versions of weights that are files."""
    named = [settings.restore.weights, settings.detect.weights, settings.blend.parsing, settings.guard.embedding]
    return (
        settings.restore.device,
        settings.restore.precision,
        settings.restore.batch,
        settings.detect.score,
        settings.detect.vote,
        settings.detect.batch,
        settings.guard.enabled,
        *named,
        *_versions(named),
    )


def _versions(names: list[str]) -> Iterator[tuple[int, int] | None]:
    for name in names:
        file = Path(name)
        stat = file.stat() if file.is_file() else None
        yield (stat.st_mtime_ns, stat.st_size) if stat is not None else None
