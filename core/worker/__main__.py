"""`python -m core.worker`: a worker as a plain new process; see core.worker.main."""

from __future__ import annotations

from core.worker.main import run_worker

if __name__ == "__main__":
    run_worker()
