# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Stands in for get-pip.py in ansible-test's cache (tests/sanity.sh puts it there).

ansible-test runs it inside a new virtual environment without pip, with what to install as its arguments, as the real
one would be run. This one needs no download: it starts from the pip that Python carries with it, and what that installs
comes from the folder whose files tests/sanity.sh has held against their hashes.
"""

import runpy
import subprocess
import sys

# In a process of its own, because it switches pip's configuration off for the one that it runs in.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
only_get_pips = ("--no-setuptools", "--no-wheel")
sys.argv[1:] = ["install", *(word for word in sys.argv[1:] if word not in only_get_pips)]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
