"""One model over a whole case table: each case a result folder, one summary of all."""

from __future__ import annotations

from StrokeSegLib.batch.plan import BatchWish
from StrokeSegLib.batch.run import BatchResult, run_batch

__all__ = ["BatchResult", "BatchWish", "run_batch"]
