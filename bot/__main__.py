"""`python -m bot`, the `orchard` command."""

from __future__ import annotations

import sys

from bot.cli.terminal import leave, prepare_streams, tell_crash


def main() -> None:
    prepare_streams()
    try:
        from bot.cli.aliases import translate
        from bot.cli.program import app

        app(args=translate(sys.argv[1:]), prog_name="orchard")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # the last edge: nobody is shown a traceback who did not ask for one
        tell_crash(error)
    finally:
        leave()


if __name__ == "__main__":
    main()
