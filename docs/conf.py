# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How Sphinx makes HTML of what build.py has collected. Nothing is fetched: the site is built offline."""

import re

from docutils import nodes

project = "rcron"
copyright = "2026 The rcron maintainers"
extensions = ["myst_parser", "sphinx_antsibull_ext"]

html_theme = "furo"
html_title = "rcron"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
pygments_style = "ansible"
pygments_dark_style = "ansible"

# Headings get the anchors that GitHub gives them, so that one link serves both.
myst_heading_anchors = 4
nitpicky = True
smartquotes = False  # two hyphens of an option stay two hyphens
# A snippet that a lexer does not understand is shown without colours; that is not a fault of the page.
suppress_warnings = ["misc.highlighting_failure"]

#: Labels of Ansible's own documentation that the reference names, and where they are.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}
PLUGIN = re.compile(r"ansible_collections\.ansible\.builtin\.(\w+?_[a-z]+)(?:__(parameter-\w+))?")


def link_to_ansible(app, env, node, contnode):
    """Resolve a reference to Ansible's own documentation, for which intersphinx would download an index.

    Args:
        app: Sphinx.
        env: its environment.
        node: the reference.
        contnode: its text.

    Returns:
        A link, or None for any other reference.
    """
    label = node["reftarget"]
    target = LABELS.get(label)
    plugin = PLUGIN.fullmatch(label)
    if plugin:
        target = f"collections/ansible/builtin/{plugin[1]}.html#{plugin[2] or ''}"
    if target is None:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=ANSIBLE + target)


def setup(app):
    """Register the above. Sphinx calls this.

    Args:
        app: Sphinx.
    """
    app.connect("missing-reference", link_to_ansible)
