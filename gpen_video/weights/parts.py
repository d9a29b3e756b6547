"""Names for files that are not whole yet."""

import secrets
from pathlib import Path


def part_beside(path: Path) -> Path:
    """A new name in the same folder, so that two runs do not write into one file and a rename finishes it."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
