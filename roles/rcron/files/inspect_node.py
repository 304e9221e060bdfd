# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron wants to know of a node before it changes anything there.

Run on the node by the role's tasks/preflight.yml, with -I, as `rcron_python`. Reads from standard input one JSON object:
config_source (str, the text of rcron/config.py), conf_text (str, the rcron.conf that would be written), conf_path (str),
links (list of str, the launchers' paths), unknown and known (lists of str, names of role variables). Writes to standard
output one JSON object: python (str, version), cache_tag (str, the interpreter's name in bytecode files), uid (int),
conf_error (str, empty where rcron/config.py accepts the text), foreign (list of str: what stands in a launcher's place and
was not put there by this role), meant (dict: unknown name -> the known name that it resembles, or nothing).
"""

import sys

if sys.version_info < (3, 9):
    sys.stderr.write("Python %d.%d, and rcron needs 3.9 or newer\n" % sys.version_info[:2])
    sys.exit(1)

import difflib
import json
import os
import re

asked = json.load(sys.stdin)

config = {}
exec(compile(asked["config_source"], "config.py", "exec"), config)
conf_error = ""
try:
    config["parse"](asked["conf_text"], asked["conf_path"])
except config["ConfigError"] as error:
    conf_error = str(error)

#: What a launcher's link points to when this role made it: LIB/VERSION-DIGEST/bin/NAME.
OURS = re.compile(r"/[^/]+-[0-9a-f]{8}/bin/rcron(ctl)?\Z")
foreign = [
    path
    for path in asked["links"]
    if os.path.lexists(path) and not (os.path.islink(path) and OURS.search(os.readlink(path)))
]

json.dump(
    {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "cache_tag": sys.implementation.cache_tag,
        "uid": os.geteuid(),
        "conf_error": conf_error,
        "foreign": foreign,
        "meant": {name: (difflib.get_close_matches(name, asked["known"], n=1) or [""])[0] for name in asked["unknown"]},
    },
    sys.stdout,
)
