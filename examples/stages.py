"""Use the stages one by one: write the first restored face of a film, and its crop, side by side as a PNG.

python examples/stages.py SOURCE TARGET.png
"""

import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from gpen_video import Settings
from gpen_video.faces import Aligner, track_faces
from gpen_video.media import decode, mark_shots, probe
from gpen_video.pipeline import crop_faces, detect_faces, load_models
from gpen_video.restore import restore_faces


def main(source: Path, target: Path) -> None:
    """Pull on the last stage until a face comes."""
    settings = Settings()
    models = load_models(settings)
    frames = mark_shots(decode(probe(source)), settings.shots)
    detected = detect_faces(frames, models.detector, long_side=640, min_face=16, batch=1)
    tracked = track_faces(detected, settings.track, start_score=settings.detect.score)
    cropped = crop_faces(tracked, Aligner(models.restorer.size, models.template))
    with closing(restore_faces(cropped, models.restorer, max_wait=0)) as restored:
        for item in restored:
            for face in item.faces:
                pair_hwc = np.hstack([face.crop.rgb_hwc, face.rgb_hwc])
                cv2.imwrite(str(target), np.rint(pair_hwc[:, :, ::-1].clip(0, 1) * 255))
                print(f"frame {item.frame.index}: {target}")
                return
    print(f"no face in {source}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
