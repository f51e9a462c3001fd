"""`python -m bot`, the `orchard` command."""

from __future__ import annotations

import sys

from bot.cli.aliases import translate
from bot.cli.program import app


def main() -> None:
    app(args=translate(sys.argv[1:]), prog_name="orchard")


if __name__ == "__main__":
    main()
