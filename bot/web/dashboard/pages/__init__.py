"""The pages, a module each, with `build(viewer)`. They are the only ones that import NiceGUI."""
