"""What Orchard puts into the test process of a project. The files here are no part of Orchard's own process:

    orchard_start.py     starts pytest         orchard_probe.py   the plugin
    orchard_settings.py  what it is told       orchard_facts.py   what an exception says

The folder is put on the project's Python path, so its modules have names that no project has.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
