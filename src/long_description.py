"""Makes the README fit for package indexes, where links to files of the repository lead nowhere.

The project has no public address. As soon as it has one, links can lead there: CONTRIBUTING.md says where to write it.
"""

import re

FILES = None  # the address that paths in the repository follow, with a slash at its end; None: there is none
NOTE = "Names of files in parentheses, such as docs/training.md, are those of pages in the source distribution."
FENCED = re.compile(r"(^```.*?^```$|^(?: {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^(!\[[^\]]*\])\(([^)\s]+)\)\n+", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:|#")


def long_description(readme, files=FILES):
    """The README with links that work: to `files`, or, where that is None, with the names of files in parentheses."""

    def picture(match):
        if ELSEWHERE.match(match[2]):
            return match[0]
        return "" if files is None else f"{match[1]}({files}{match[2]})\n\n"

    def link(match):
        text, target = match.groups()
        if ELSEWHERE.match(target):
            return match[0]
        if files is not None:
            return f"[{text}]({files}{target})"
        name = target.partition("#")[0]
        return text if text == name else f"{text} ({name})"

    parts = FENCED.split(readme)
    parts[::2] = [LINK.sub(link, PICTURE.sub(picture, text)) for text in parts[::2]]
    made = "".join(parts)
    return made if files is not None else made.replace("\n## ", f"\n{NOTE}\n\n## ", 1)
