"""`make audit`: everything that requirements.lock pins is there, has its hash, and was not withdrawn."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--require-hashes",
        ]
        command += ["--quiet", "--disable-pip-version-check", "--report", str(report)]
        done = subprocess.run([*command, "-r", str(ROOT / "requirements.lock")], check=False)
        if done.returncode:
            return done.returncode
        installed = json.loads(report.read_text())["install"]
    gone = [each["metadata"] for each in installed if each.get("is_yanked")]
    for each in gone:
        print(f"{each['name']} {each['version']} was withdrawn by its makers: make lock")
    print(f"{len(installed)} packages, each with its hash; {len(gone)} withdrawn.")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
