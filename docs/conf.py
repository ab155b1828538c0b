"""Sphinx's settings: Markdown by MyST, furo's theme, no network."""

from importlib import metadata

project = "hpml"
author = "The hpml project"
release = metadata.version("hpml")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "hpml"
