"""How a film reaches the stages: through which filters, and as frames or as fields."""

import math
from dataclasses import dataclass, replace

from gpen_video.config import Settings
from gpen_video.config.schema import MediaSettings
from gpen_video.media import deinterlace, filter_warning, filtered_info, joined, look_at_fields
from gpen_video.media.fields import Field
from gpen_video.types import VideoInfo


@dataclass(frozen=True, slots=True)
class Reading:
    """Decided before a frame is restored."""

    info: VideoInfo
    """The film as it is."""
    behind: VideoInfo
    """The film as it comes out of the filters, and as the result will be; `info` without filters."""
    graph: str = ""
    """libavfilter's graph; empty for none."""
    moments: Field | None = None
    """The first of the two moments that each frame before the filters holds; `None` for progressive film."""
    first_field: Field | None = None
    """The first field, where faces are restored field by field."""
    warnings: tuple[str, ...] = ()

    @property
    def pixel_aspect(self) -> float:
        """Width over height of the samples of what the stages see: a field's lines lie twice as far apart."""
        return float(self.behind.sample_aspect_ratio or 1) / (2 if self.first_field else 1)

    def per_picture(self, settings: Settings) -> Settings:
        """Settings that count frames, for twice as many fields of half the height."""
        if self.first_field is None:
            return settings
        shrink = math.sqrt(2)  # a face's size is the root of its area
        track, blend, detect, restore = settings.track, settings.blend, settings.detect, settings.restore
        return settings.model_copy(
            update={
                "detect": detect.model_copy(
                    update={
                        "min_face": detect.min_face / shrink,
                        "every": 2 * detect.every if detect.every > 1 else 1,
                    }
                ),
                "track": track.model_copy(
                    update={
                        "lag": 2 * track.lag,
                        "max_gap": 2 * track.max_gap,
                        "min_hits": 2 * track.min_hits,
                        "memory": 2 * track.memory,
                        "motion_noise": track.motion_noise / 4,  # an acceleration: per field squared
                    }
                ),
                "restore": restore.model_copy(
                    update={
                        "steady_latent": math.sqrt(restore.steady_latent),
                        "steady_detail": math.sqrt(restore.steady_detail),
                    }
                ),
                "gate": settings.gate.model_copy(update={"small": settings.gate.small / shrink}),
                "blend": blend.model_copy(update={"fade": 2 * blend.fade, "steadiness": math.sqrt(blend.steadiness)}),
            }
        )


def plan_reading(info: VideoInfo, settings: MediaSettings) -> Reading:
    """Look for fields, try the filters.

    Raises:
        ConfigError: libavfilter refuses the filters.
        ProbeError: the film is no longer what it was.
    """
    report = look_at_fields(info, settings.fields)
    moments = (report.measure.first or report.flagged or "top") if report.is_interlaced else None
    deinterlaces = settings.deinterlace and moments is not None
    graph = joined(deinterlace(moments) if deinterlaces and moments else "", settings.filters)
    reading = Reading(info, info, graph, moments, None if deinterlaces else report.first, report.warnings)
    if not graph:
        return reading
    behind = filtered_info(info, graph, moments)
    first_field = reading.first_field if behind.first_field or not info.first_field else None
    warnings = [*report.warnings, filter_warning(graph)]
    if first_field and behind.height % 2:
        first_field = None
        warnings.append(
            f"{graph!r} leaves {behind.height} lines, not two equal fields: faces are restored frame by frame"
        )
    return replace(reading, behind=behind, first_field=first_field, warnings=tuple(warnings))
