"""``python -m gpen_video``."""

import sys

from gpen_video.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
