"""Makes links of Markdown pages to files beside docs/, which readers of the repository follow, links within the site."""

import re

PAGES = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "support.md",
    "../SUPPORT.md": "support.md",
    "../benches/RESULTS.md": "results.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)#\s]*)(#[^)]*)?\)")


def within_the_site(match):
    """A link to the page that has the file; the text alone where no page has it."""
    text, target, section = match[1], match[2], match[3] or ""
    return f"[{text}]({PAGES[target]}{section})" if target in PAGES else text


def rewrite(app, name, source):
    source[0] = LINK.sub(within_the_site, source[0])


def setup(app):
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
