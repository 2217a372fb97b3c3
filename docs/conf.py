"""Builds the documentation: `sphinx-build -W -b html docs docs/_build/html`. Nothing here needs the network."""

import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")  # the same pictures on every machine
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import fastsoftmax

for public in fastsoftmax._MODULES:  # autodoc imports modules by their public names
    sys.modules[f"fastsoftmax.{public}"] = getattr(fastsoftmax, public)

HAS_TORCH = importlib.util.find_spec("torch") is not None

project = "fastsoftmax"
author = "The fastsoftmax developers"
copyright = "The fastsoftmax developers"
version = release = fastsoftmax.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "local_inventories",
    "repository_links",
    "own_members",
    "without_extras",
]
exclude_patterns = ["_build", "examples", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
highlight_language = "none"  # indented blocks are shell commands; Python blocks say so
default_role = "py:obj"
suppress_warnings = ["config.cache"]  # the order of the gallery's examples is a function

# -- Markdown --
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4

# -- API reference --
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template of classes lists them
numpydoc_xref_param_type = False

# -- links to other libraries: `local_inventories` writes the inventories --
intersphinx_timeout = 1

# -- gallery --
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_" if HAS_TORCH else r"[\\/]plot_(?!torch)",  # shown, but not run, without torch
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 10_000,
    "write_computation_times": False,
    "doc_module": ("fastsoftmax",),
    "backreferences_dir": None,
    "image_srcset": [],
    "matplotlib_animations": False,
    "capture_repr": (),
}

# -- pages --
html_theme = "pydata_sphinx_theme"
html_title = f"fastsoftmax {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}
html_sidebars = {"install": [], "tutorial": [], "which_model": []}
