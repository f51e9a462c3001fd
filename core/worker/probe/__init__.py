"""What Orchard puts into the test process of a project. The files here are no part of Orchard's own process:

    orchard_start.py     starts pytest         orchard_probe.py   the plugin
    orchard_settings.py  what it is told       orchard_facts.py   what an exception says

    orchard_node.mjs     starts node --test    orchard_node_canaries.mjs  loaded before each file
    orchard_jest.cjs     starts jest           orchard_jest_{runner,reporter,circus}.cjs  what it is made to use
    orchard_vitest.mjs   starts vitest         orchard_vitest_runner.mjs  the runner in each test process
    orchard_channel.cjs  their signed channel  orchard_asserts.cjs  whether assertions still bite
    orchard_driver.py    what these share      orchard_{cargo,go,surefire}.py  build, and run each test or module
    orchard_unittest.py  runs unittest where there is no pytest

The folder is put on the project's Python path, so its modules have names that no project has.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
