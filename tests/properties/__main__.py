"""`make fuzz`: the property tests, each with many new examples. A fault is shown by its smallest example.

The API as its description allows and forbids is among them, and the storm beside GitHub, with new seeds; a
test's name says its seed (STORM_SEEDS=7: once more).
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys

import pytest

FOLDER = "tests/properties"
STORM = "tests/integration/github_whole/test_storm.py"
API = "tests/web/api/test_fuzz.py"
STORMS = 10


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description=__doc__)
    parser.add_argument("--examples", type=int, default=5000, metavar="NUMBER", help="of each test (5000)")
    parser.add_argument("--minutes", type=float, default=60.0, help="that one test may take (60)")
    parser.add_argument(
        "paths", nargs="*", default=[FOLDER, STORM, API], help=f"files or tests ({FOLDER} {STORM} {API})"
    )
    asked, more = parser.parse_known_args(argv)
    os.environ["FUZZ_EXAMPLES"] = str(asked.examples)
    os.environ.setdefault("SHELL_EXAMPLES", str(asked.examples))
    os.environ.setdefault("STORM_SEEDS", ",".join(str(secrets.randbelow(10**6)) for _ in range(STORMS)))
    os.environ.setdefault("STORM_STEPS", "150")
    options = ["-v", "--hypothesis-profile=fuzz", f"--timeout={asked.minutes * 60:.0f}", "--durations=15"]
    return int(pytest.main([*options, *more, *asked.paths]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
