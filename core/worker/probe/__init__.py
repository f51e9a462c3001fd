"""What Orchard puts into the test process of a project. The files here are no part of Orchard's own process:

    orchard_start.py     starts pytest         orchard_probe.py   the plugin
    orchard_settings.py  what it is told       orchard_facts.py   what an exception says

    orchard_node.mjs     starts node --test    orchard_node_canaries.mjs  loaded first
    orchard_jest.cjs     starts jest           orchard_jest_{runner,reporter,circus}.cjs  what it uses
    orchard_vitest.mjs   starts vitest         orchard_vitest_runner.mjs  the runner in each test process
    orchard_channel.cjs  their signed channel  orchard_asserts.cjs  whether assertions still bite
    orchard_{cargo,go,surefire}.py  build and run compiled tests; orchard_driver.py  what they share
    orchard_unittest.py  runs unittest where there is no pytest

The folder is put on the project's Python path, so its modules have names that no project has.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
