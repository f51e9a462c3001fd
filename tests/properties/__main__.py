"""`make fuzz`: the property tests, each with many new examples. A fault is shown by its smallest example."""

from __future__ import annotations

import argparse
import os
import sys

import pytest

FOLDER = "tests/properties"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description=__doc__)
    parser.add_argument("--examples", type=int, default=5000, metavar="NUMBER", help="of each test (5000)")
    parser.add_argument("--minutes", type=float, default=60.0, help="that one test may take (60)")
    parser.add_argument("paths", nargs="*", default=[FOLDER], help=f"files or tests ({FOLDER})")
    asked, more = parser.parse_known_args(argv)
    os.environ["FUZZ_EXAMPLES"] = str(asked.examples)
    os.environ.setdefault("SHELL_EXAMPLES", str(asked.examples))
    options = ["-v", "--hypothesis-profile=fuzz", f"--timeout={asked.minutes * 60:.0f}", "--durations=15"]
    return int(pytest.main([*options, *more, *asked.paths]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
