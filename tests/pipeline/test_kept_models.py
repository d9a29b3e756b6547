"""Networks that are kept from film to film: the same bits, the same object, and the key misses nothing."""

from pathlib import Path
from typing import Any

import pytest

from gpen_video.config import Settings
from gpen_video.errors import UnknownWeightsError
from gpen_video.pipeline import KeptModels, load_models, restore_video
from gpen_video.pipeline.kept_models import network_key
from tests.pipeline.clips import two_people


class Read:
    """Settings, or a section of them, that note what is read."""

    def __init__(self, real: Any, name: str, into: set[str]) -> None:
        self._real, self._name, self._into = real, name, into

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        full = f"{self._name}.{name}".lstrip(".")
        if hasattr(value, "model_fields_set"):
            return Read(value, full, self._into)
        self._into.add(full)
        return value


def settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate({"restore": {"device": "cpu"}, **sections})


def test_the_key_reads_all_that_loading_reads() -> None:
    loading: set[str] = set()
    key: set[str] = set()
    load_models(Read(settings(guard={"enabled": True}), "", loading), offline=True)  # type: ignore[arg-type]
    network_key(Read(settings(), "", key))  # type: ignore[arg-type]
    assert "restore.weights" in loading
    assert loading <= key


def test_they_are_loaded_again_only_where_others_are_asked_for() -> None:
    with KeptModels(offline=True) as kept:
        first = kept.models(settings())
        assert kept.models(settings(restore={"device": "cpu", "strength": 0.3}, track={"lag": 2})) is first
        second = kept.models(settings(detect={"score": 0.5}))
        assert second is not first
        assert kept.models(settings()) is not first, "one set is kept, not all"
        with pytest.raises(UnknownWeightsError):
            kept.models(settings(restore={"device": "cpu", "weights": "no"}))
        assert kept.models(settings()) is not first


def test_weights_in_a_file_are_loaded_again_when_it_changes(tmp_path: Path) -> None:
    named = settings(detect={"weights": str(tmp_path / "mine.safetensors")})
    keys = []
    for content in (None, b"x", b"xx"):
        if content is not None:
            (tmp_path / "mine.safetensors").write_bytes(content)
        keys.append(network_key(named))
        assert network_key(named) == keys[-1]
    assert len(set(keys)) == 3


def test_a_second_film_is_what_it_is_alone(tmp_path: Path, small_network: str) -> None:
    how = settings(restore={"device": "cpu", "weights": small_network})
    films = [two_people(tmp_path / f"{frames}.mkv", frames) for frames in (3, 5)]
    with KeptModels(offline=True) as kept:
        for film in films:
            restore_video(film, film.with_suffix(".kept.mkv"), how, models=kept.models(how))
    restore_video(films[1], tmp_path / "alone.mkv", how, offline=True)
    assert (tmp_path / "alone.mkv").read_bytes() == films[1].with_suffix(".kept.mkv").read_bytes()
