# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron wants to know of a node before it changes anything there.

Run on the node by the role's tasks/preflight.yml, with -I, as `rcron_python`. Reads one JSON object from standard
input: config_source and installation_source (str, the texts of rcron/settings.py and of the module rcron_wrapper's
installation.py), conf_text (str, the rcron.conf that would be written), places (dict, where things are to be, as
installation.Places takes them), state_user (str, the owner of the state's folder), unknown and known (lists of str,
names of role variables).
Writes one to standard output: uid (int), conf_error (str, empty if rcron/settings.py accepts the text), foreign (list
of str, what stands in a link's place and was not put there by this role), exposed (list of str, where somebody else
than root could replace what root's jobs run), has_state_user (bool), meant (dict: unknown name -> the known name that
it resembles, or nothing).
"""

import sys

# The node's Python is whatever the administrator has; what this file is checked against says nothing about it.
if sys.version_info < (3, 9):  # noqa: UP036
    sys.exit(f"Python {sys.version_info[0]}.{sys.version_info[1]}")

import difflib
import json
import os
import pwd
import types

asked = json.load(sys.stdin)

config: dict = {}
# Not an import: the package is not on the node yet.
exec(compile(asked["config_source"], "settings.py", "exec"), config)  # noqa: S102 - the collection's own file
conf_error = ""
try:
    config["parse"](asked["conf_text"], asked["places"]["conf"])
except config["ConfigError"] as error:
    conf_error = str(error)

# dataclasses looks for the module of its classes.
installation = sys.modules["installation"] = types.ModuleType("installation")
exec(compile(asked["installation_source"], "installation.py", "exec"), installation.__dict__)  # noqa: S102 - likewise
places = installation.Places(**asked["places"])


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


json.dump(
    {
        "uid": os.geteuid(),
        "conf_error": conf_error,
        "foreign": places.foreign(),
        "exposed": installation.exposed_by(places),
        "has_state_user": has_user(asked["state_user"]),
        "meant": {name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
    },
    sys.stdout,
)
