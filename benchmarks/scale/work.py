"""Bytes, operations and seconds for an hour of film, and which resource they bind; plain arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass

Costs = Mapping[str, float]
"""Of one size of film, as `measure.measured` gives them."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of film, as an archive has it."""

    name: str
    size: str
    """Key of the measured costs."""
    rate: int
    """Frames a second."""
    fields: int
    """Pictures that are restored for each frame."""
    faces: float
    """A picture."""
    codec: str
    """Of the result; the source is FFV1."""
    network: str

    @property
    def frames(self) -> int:
        """In an hour."""
        return 3600 * self.rate


@dataclass(frozen=True, slots=True)
class Machine:
    """What is rented or bought."""

    name: str
    cores: int
    """As fast as the one that was measured."""
    kept_busy: float
    """Part of the cores' time that stages and codecs together can use."""
    flops: float
    """Peak of all its GPUs, bf16 without sparsity, a second; 0 where it has none."""
    efficiency: float
    """Part of the peak that is reached."""
    network_bytes: float
    """A second, in and out together."""
    price: float
    """An hour."""


@dataclass(frozen=True, slots=True)
class Work:
    """What an hour of film takes."""

    track_core: float
    """Core seconds of the tracking pass."""
    restore_core: float
    encode_core: float
    networks_core: float
    """Core seconds of the networks where no GPU takes them over; of `gpen-lite-256`."""
    track_flops: float
    restore_flops: float
    source_bytes: float
    result_bytes: float

    @property
    def core(self) -> float:
        """Core seconds in all, beside a GPU."""
        return self.track_core + self.restore_core + self.encode_core

    @property
    def flops(self) -> float:
        """Operations in all; a multiplication with an addition is two."""
        return self.track_flops + self.restore_flops

    @property
    def moved_bytes(self) -> float:
        """Source read by tracking and by restoring; result written in segments, read, and written joined."""
        return 2 * self.source_bytes + 3 * self.result_bytes


def work(collection: Collection, costs: Costs, flops: Mapping[str, float]) -> Work:
    """For an hour of a collection's film.

    Args:
        collection: what film, and what is wanted.
        costs: of its size.
        flops: of one call of each network, by name; the detector's is ``detector``.
    """
    frames, pictures = collection.frames, collection.frames * collection.fields
    faces = pictures * collection.faces
    return Work(
        track_core=frames * costs["decode"] + pictures * costs["shots and tracking"],
        restore_core=frames * costs["decode"] + faces * costs["per face"],
        encode_core=frames * costs[f"encode {collection.codec}"],
        networks_core=pictures * costs["detector on a core"] + faces * costs["restorer on a core"],
        track_flops=pictures * flops["detector"],
        restore_flops=faces * flops[collection.network],
        source_bytes=frames * costs["bytes FFV1"],
        result_bytes=frames * costs[f"bytes {collection.codec}"],
    )


def machine_seconds(work: Work, machine: Machine) -> dict[str, float]:
    """Seconds for which an hour of film keeps each part of a machine busy; the longest binds."""
    cores = machine.cores * machine.kept_busy
    return {
        "CPU": (work.core if machine.flops else work.core + work.networks_core) / cores,
        "GPU": work.flops / (machine.flops * machine.efficiency) if machine.flops else 0.0,
        "network": work.moved_bytes / machine.network_bytes,
    }


def binding(work: Work, machine: Machine) -> str:
    """The part that is busy longest."""
    seconds = machine_seconds(work, machine)
    return max(seconds, key=lambda name: seconds[name])
