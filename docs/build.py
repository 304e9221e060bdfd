# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`make docs`: one site in .build/docs of the pages of docs/, roles and tests, the manual pages, and the reference.

The reference comes from the documentation of modules, filters and roles, as tests/published.sh has installed them.
Everything is collected in .build/docs-source, with docs/ as its root, and links are rewritten accordingly: a link that
works on GitHub works in the site, and one to a file that the site does not have leads to the repository. A dead link is
an error.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import yaml

from man.build import sources as man_pages
from man.build import text as man_page

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = CHECKOUT / ".build" / "docs-source"
SITE = CHECKOUT / ".build" / "docs"
DOCTREES = CHECKOUT / ".build" / "docs-doctrees"

#: The pages of the site, and the pictures in them.
PAGES = ("docs/**/*.md", "docs/images/*", "roles/*/README.md", "tests/*/README.md", "*.md")
INDEX = pathlib.Path("docs", "index.md")

#: How a role's page names the reference, which has no file in the checkout; in the site it is a link.
REFERENCE = "the HTML reference that `make docs` builds in a checkout"

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
TITLED_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)")


def place(path: pathlib.Path) -> pathlib.Path:
    """Return a file's path in the site.

    Args:
        path: the file's path in the checkout.
    """
    return path.relative_to("docs") if path.parts[0] == "docs" else path


def with_links_of_the_site(page: pathlib.Path, pages: "set[pathlib.Path]", repository: str) -> str:
    """Return a page's text, with its relative links as they must be in the site.

    Args:
        page: the page's path in the checkout.
        pages: the paths of all files that the site has.
        repository: where all other files can be looked at.

    Raises:
        FileNotFoundError: a link leads nowhere.
    """

    def rewritten(link: "re.Match[str]") -> str:
        target = pathlib.Path(os.path.normpath(page.parent / link[1]))
        if target in pages:
            return os.path.relpath(place(target), place(page).parent)
        if not (CHECKOUT / target).exists():
            raise FileNotFoundError(f"{page}: the link to {link[1]} leads nowhere")
        return f"{repository}/blob/main/{target}"

    return LINK.sub(rewritten, (CHECKOUT / page).read_text(encoding="utf-8"))


def navigation(index: str) -> str:
    """Return the site's navigation as toctree directives: the index's links by section, and what only the site has.

    Args:
        index: the text of docs/index.md, with the site's links.
    """
    parts = []
    for section in index.removeprefix("# ").split("\n## "):
        names = [f"{title} <{link.removesuffix('.md')}>" for title, link in TITLED_LINK.findall(section)]
        if names:
            parts.append((section.partition("\n")[0], ":hidden:", names))
    manuals = [re.sub(r"(.*)\.(\d)\.rst", r"\1(\2) <man/\1.\2>", source.name) for source in man_pages()]
    parts.append(("Reference", ":maxdepth: 1", ["Modules, filters and roles <reference/index>", *manuals]))
    parts.append(("Roles: examples, costs and limits", ":glob:\n:maxdepth: 1", ["roles/*/README"]))
    return "".join(
        "\n```{{toctree}}\n:caption: {}\n{}\n\n{}\n```\n".format(caption, option, "\n".join(names))
        for caption, option, names in parts
    )


def collect() -> None:
    """Write everything that Sphinx reads, except the reference, to SOURCE."""
    repository = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    pages = {path.relative_to(CHECKOUT) for pattern in PAGES for path in CHECKOUT.glob(pattern)}
    for page in sorted(pages):
        copy = SOURCE / place(page)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            text = with_links_of_the_site(page, pages, repository)
            if page == INDEX:
                text += navigation(text)
            if page.parts[0] == "roles":
                text = text.replace(REFERENCE, f"[the reference](../../reference/{page.parts[1]}_role.rst)")
            copy.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(CHECKOUT / page, copy)
    (SOURCE / "man").mkdir()
    for source in man_pages():
        (SOURCE / "man" / source.name).write_text(man_page(source), encoding="utf-8")


def drop_contents() -> None:
    """Remove the tables of contents from the reference, since the theme shows one beside each page."""
    for page in (SOURCE / "reference").glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"^\.\. contents::\n(?: +\S.*\n)*", "", text, flags=re.MULTILINE), encoding="utf-8")


def main() -> int:
    """Build the site.

    Returns:
        The exit status of the first program that failed, or 0.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "reference").mkdir(parents=True)
    collect()
    reference = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
    site = ["sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "--jobs", "auto", "--conf-dir", "docs"]
    status = subprocess.run([*reference, "--dest-dir", SOURCE / "reference", "rcron.cluster"], check=False).returncode
    if status:
        return status
    drop_contents()
    return subprocess.run([*site, "--doctree-dir", DOCTREES, SOURCE, SITE], cwd=CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
