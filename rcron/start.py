# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Start rcron from one file of bytecode, which launcher.py has made.

importlib takes as long to find, open and check a module as most modules here take to run. The launcher reads one file
instead, and takes this module out of it first.
"""

import sys
from marshal import loads


def start(codes: "dict[str, bytes]", library: str) -> None:
    """Be rcron and end this process.

    codes: the bytecode of each module that a run may need at once, by its name in the package; it becomes a module only
    where it is imported. library: the folder that holds the package, where importlib finds all other modules.
    """
    module_type = type(sys)
    package = sys.modules["rcron"] = module_type("rcron")
    package.__path__ = [library + "/rcron"]
    exec(loads(codes["__init__"]), package.__dict__)  # noqa: S102, S302 - the package's own code

    def load(name: str) -> object:
        if name not in codes:
            raise AttributeError(name)
        module = sys.modules["rcron." + name] = module_type("rcron." + name)
        module.__package__ = "rcron"
        exec(loads(codes[name]), module.__dict__)  # noqa: S102, S302
        setattr(package, name, module)
        return module

    # `from rcron import log` asks the package for its `log` before it asks importlib: PEP 562.
    package.__getattr__ = load  # type: ignore[method-assign]
    load("__main__").launch()  # type: ignore[attr-defined]
