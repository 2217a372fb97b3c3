"""Makes links for readers of the repository links within the site.

In Markdown these are links to files beside docs/, in docstrings the paths of pages.
"""

import re

PAGES = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "support.md",
    "../SUPPORT.md": "support.md",
    "../benches/RESULTS.md": "results.md",
}
PATH = re.compile(r"(?<![\w/`])docs/(\w+)\.md")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)#\s]*)(#[^)]*)?\)")


def within_the_site(match):
    """A link to the page that has the file; the text alone where no page has it."""
    text, target, section = match[1], match[2], match[3] or ""
    return f"[{text}]({PAGES[target]}{section})" if target in PAGES else text


def rewrite(app, name, source):
    source[0] = LINK.sub(within_the_site, source[0])


def link_pages(app, what, name, object, options, lines):
    lines[:] = [PATH.sub(r":doc:`/\1`", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", link_pages)
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
