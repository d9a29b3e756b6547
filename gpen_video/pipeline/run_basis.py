"""What the finished segments of a film hold for: everything that decides a sample of them."""

import torch

from gpen_video.config import Settings
from gpen_video.media import Carriage
from gpen_video.media.fingerprint import fingerprint
from gpen_video.media.versions import ffmpeg_versions
from gpen_video.pipeline.basis import Value, setting_values
from gpen_video.pipeline.extras import Extras
from gpen_video.pipeline.observe import RunPlan
from gpen_video.pipeline.treatment import networks_used
from gpen_video.report import tool_used
from gpen_video.weights import locate

_BESIDE = {"media.prefetch", "media.tolerant", "restore.device", "restore.batch", "restore.max_wait"}
"""Settings of speed, and the one that says where a damaged film ends."""


def run_basis(plan: RunPlan, carriage: Carriage, settings: Settings, extras: Extras) -> dict[str, Value]:
    """Film, program, settings, weights, encoder, and what is made beside the result, by name.

    Numbers on a GPU are not those on a CPU, to the last bit, so the kind of device counts; which one it is does not.

    Raises:
        InputError: The film cannot be read.
        WeightsError: The weights are no longer there.
        ConfigError: The cue sheet cannot be read.
    """
    tool, encoder = tool_used(ffmpeg_versions()), carriage.encoder
    film = fingerprint(plan.info.path)
    devices = {torch.device(name).type for name in plan.device.split(",")}
    weights = {
        f"weights ({role})": "none" if name is None else f"{name} {locate(name, offline=True).sha256[:16]}"
        for role, name in networks_used(plan, settings).items()
    }
    return {
        "gpen-video": tool.version,
        **tool.libraries,
        "the film's bytes": film.size,
        "the film's sample": film.sample_sha256[:16],
        **setting_values(settings, type(settings).model_fields, _BESIDE),
        "device": " ".join(sorted(devices)),
        "precision": plan.precision,
        **weights,
        "container": carriage.container,
        "encoder": encoder.codec,
        "pix_fmt": encoder.pix_fmt,
        "encoder's options": " ".join(f"{key}={value}" for key, value in sorted(encoder.options.items())),
        **extras.identity(),
    }
