"""rcron: run a cron job on exactly one machine of a cluster."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 9):  # noqa: UP036 - an older one may be all that is left after a downgrade
    # Here, because everything imports this first: no job may have begun by the time that something is missing.
    found = f"{sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}"
    sys.stderr.write(f"rcron: needs Python 3.9 or newer, but {found}; nothing was run. Deploy rcron anew\n")
    raise SystemExit(78)

#: The bytecode of modules, by their names. Empty in the source: bytecode.py fills it in when it compiles this.
CODES: "dict[str, bytes]" = {}


def __getattr__(name: str) -> object:
    """Find a module for `from rcron import name` in CODES, before importlib looks for it (PEP 562).

    Args:
        name: the module's name.

    Returns:
        The module.

    Raises:
        AttributeError: CODES does not have it.
    """
    if name not in CODES:
        raise AttributeError(name)
    import marshal
    import sys

    module_name = f"rcron.{name}"
    module = sys.modules[module_name] = type(sys)(module_name)
    module.__package__ = "rcron"
    exec(marshal.loads(CODES[name]), module.__dict__)  # noqa: S102, S302 - our own
    globals()[name] = module
    return module
