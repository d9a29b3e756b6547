"""Running the command as users do, in a process of its own."""

import subprocess
import sys
from pathlib import Path


def gpen_video(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``python -m gpen_video`` and return what it printed."""
    command = [sys.executable, "-m", "gpen_video", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
