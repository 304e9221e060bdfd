"""What every unit test needs: the checkout reachable under its collection name."""

import pathlib

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure() -> None:
    """Make .build/ansible_collections/rcron/cluster a link to the checkout (`pythonpath` in pyproject.toml names it)."""
    link = CHECKOUT / ".build" / "ansible_collections" / "rcron" / "cluster"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(CHECKOUT)
