"""`python -m core.worker [options as JSON]`: a worker as a plain new process; see core.worker.main."""

from __future__ import annotations

import json
import sys

from core.worker.main import run_worker

if __name__ == "__main__":
    run_worker(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))
