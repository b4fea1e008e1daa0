"""``python -m StrokeSegLib``: the same as the ``strokeseg`` command."""

from __future__ import annotations

import sys

from StrokeSegLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
