"""Brings the state diagrams of the README up to date: `python -m tests.architecture.write_diagrams`."""

from pathlib import Path

from core.domain.diagrams import with_diagrams

README = Path(__file__).parents[2] / "README.md"


def main() -> None:
    before = README.read_text(encoding="utf-8")
    after = with_diagrams(before)
    README.write_text(after, encoding="utf-8")
    print("README.md was up to date." if after == before else "README.md is up to date now.")


if __name__ == "__main__":
    main()
