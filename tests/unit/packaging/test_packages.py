# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The Debian packages, as far as they can be tested without dpkg installing them; molecule/packages does the rest."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.installation import installer
from ansible_collections.rcron.cluster.plugins.module_utils.installation.errors import RefusedError

from rcron import __version__
from tests.unit.packaging.test_install import (
    CHECKOUT,
    CONF,
    contents,
    filled,
    host,
    install,
    install_as_the_role,
    role_package,
    without_comments,
)

__all__ = ["host"]

NAMES = ("rcron", "rcron-agent", "rcron-metrics")

pytestmark = pytest.mark.needs("dpkg-deb", "dpkg")


def build(folder: pathlib.Path, **environment: str) -> list[pathlib.Path]:
    """Build the packages; their paths in the order of NAMES."""
    subprocess.run(
        ["make", "packages", f"BUILD={folder}"],
        check=True,
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
    )
    return [folder / f"{name}_{__version__}_all.deb" for name in NAMES]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def unpacked(packages: list[pathlib.Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Each package's folder with its files, and its control files below DEBIAN."""
    top = tmp_path_factory.mktemp("unpacked")
    for name, package in zip(NAMES, packages):
        subprocess.run(["dpkg-deb", "--raw-extract", package, top / name], check=True)
    return {name: top / name for name in NAMES}


def payload(unpacked: dict[str, pathlib.Path]) -> pathlib.Path:
    """What the maintainer scripts run install.py from."""
    return unpacked["rcron"] / "usr/share/rcron"


def fields(folder: pathlib.Path) -> dict[str, str]:
    lines = (folder / "DEBIAN/control").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line[0] != " ")


def test_they_are_the_same_whoever_builds_them(packages, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    again = build(tmp_path / "again", TMPDIR=str(tmp_path / "elsewhere"), LC_ALL="C", TZ="Asia/Tokyo")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packages]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.needs("lintian", "lintian")
def test_lintian_finds_nothing_and_nothing_is_hidden_from_it(packages, unpacked):
    checked = subprocess.run(
        ["lintian", "--fail-on", "error,warning", "--show-overrides", *packages],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stdout) == (0, "")
    assert not [path for folder in unpacked.values() for path in folder.rglob("*lintian*")]


def test_everything_is_roots_and_has_the_time_of_the_commit(packages):
    for package in packages:
        listed = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
        assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
        assert {line.split()[0] for line in listed.splitlines()} == {"drwxr-xr-x", "-rw-r--r--"}
        assert len({tuple(line.split()[3:5]) for line in listed.splitlines()}) == 1


def test_the_wrapper_is_installed_out_of_its_package_and_no_program_is_in_one(unpacked):
    shipped = {str(path.relative_to(payload(unpacked))) for path in payload(unpacked).rglob("*") if not path.is_dir()}
    assert set(role_package()) <= shipped
    assert {"packaging/install.py", "packaging/packaged"} <= shipped
    for folder in unpacked.values():
        assert not (folder / "usr/bin").exists(), "dpkg would replace it while jobs start"
        assert not (folder / "DEBIAN/conffiles").exists()


def test_their_version_is_the_wrappers_and_the_others_need_it(unpacked):
    found = {name: fields(folder) for name, folder in unpacked.items()}
    assert {each["Version"] for each in found.values()} == {__version__}
    assert {each["Maintainer"] for each in found.values()} == {
        (CHECKOUT / "packaging/maintainer").read_text().splitlines()[-1]
    }
    assert "python3 (>= 3.9)" in found["rcron"]["Depends"]
    for name in NAMES[1:]:
        assert found[name]["Depends"] == f"rcron (>= {__version__})"
    assert (unpacked["rcron"] / "DEBIAN/triggers").read_text() == "interest-noawait /usr/bin/python3\n"


def test_their_units_are_the_roles(unpacked):
    folder = "usr/lib/systemd/system"
    agent = filled(
        "_feeder/templates/rcron-agent.service.j2",
        __feeder_agent_program="/usr/bin/rcron-agent",
        __feeder_agent_link={"stat": {}},
    )
    assert without_comments((unpacked["rcron-agent"] / folder / "rcron-agent.service").read_text()) == agent
    for name in ("rcron-metrics.service", "rcron-metrics.timer"):
        assert without_comments((unpacked["rcron-metrics"] / folder / name).read_text()) == filled(
            f"rcron_metrics/templates/{name}.j2",
            __rcron_metrics_program="/usr/bin/rcronctl",
            __rcron_metrics_conf="/etc/rcron/rcron.conf",
            __rcron_metrics_places=["/var/lib/prometheus/node-exporter"],
            rcron_metrics_interval=15,
        )


def test_it_installs_what_the_role_installs_and_leaves_the_agents_unit_to_its_own_package(host, unpacked, tmp_path):
    (tmp_path / "conf").write_text(CONF)
    done = install(host, "present", "--config", str(tmp_path / "conf"), top=payload(unpacked))
    assert done.returncode == 0, done.stderr
    other = tmp_path / "other"
    other.mkdir()
    install_as_the_role(other)
    ours, theirs = contents(host), contents(other)
    boot = "etc/tmpfiles.d/rcron.conf"
    assert ours.pop(boot) == theirs.pop(boot).replace(
        f"# Written by {installer.ROLE}, for", f"# Written by the package rcron --python={sys.executable}, for"
    )
    assert ours == theirs
    assert install(host, "check", top=payload(unpacked)).stdout == "nothing to change: rcron is installed\n"


def test_a_removal_leaves_the_configuration_and_nothing_else(host, unpacked):
    install(host, "present", top=payload(unpacked))
    conf = host / "etc/rcron/rcron.conf"
    conf.write_text(CONF)
    done = install(host, "absent", top=payload(unpacked))
    assert done.returncode == 0, done.stderr
    assert [path for path in host.rglob("*") if not path.is_dir()] == [conf]
    assert conf.read_text() == CONF


@pytest.mark.parametrize("words", [[], ["--take-over"]])
def test_what_a_package_has_installed_is_left_to_it(host, unpacked, words):
    install(host, "present", top=payload(unpacked))
    before = contents(host)
    for state in ("present", "check", "absent"):
        failed = install(host, state, *words)
        assert failed.returncode == 2
        assert "the package rcron has installed rcron on this host" in failed.stderr
        assert "apt-get purge rcron" in failed.stderr
    with pytest.raises(RefusedError, match="the package rcron has installed rcron on this host"):
        install_as_the_role(host)
    assert contents(host) == before


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (install_as_the_role, "run the playbook rcron.cluster.remove with it before you install the package"),
        (lambda host: install(host, "present"), "run install.py absent before you install the package"),
    ],
)
def test_a_package_leaves_others_work_alone(host, unpacked, first, message):
    first(host)
    before = contents(host)
    for state in ("present", "absent"):
        failed = install(host, state, top=payload(unpacked))
        assert failed.returncode == 2
        assert message in failed.stderr
    assert contents(host) == before


def script(
    unpacked: dict[str, pathlib.Path], name: str, host: pathlib.Path, *words: str, package: str = "rcron"
) -> tuple[int, str]:
    """Run one of a package's maintainer scripts for a folder that stands for a host's root."""
    text = (unpacked[package] / "DEBIAN" / name).read_text()
    for path in ("/etc/tmpfiles.d", "/etc/rcron", "/usr/bin/rcron"):
        text = text.replace(path, f"{host}{path}")
    ran = subprocess.run(["sh", "-c", text, name, *words], check=False, capture_output=True, text=True)
    return ran.returncode, ran.stderr.replace(str(host), "")


@pytest.mark.parametrize("package", NAMES)
@pytest.mark.parametrize("action", ["install", "upgrade"])
def test_dpkg_is_stopped_before_anything_is_unpacked_over_others_work(host, unpacked, tmp_path, action, package):
    def preinst(host):
        return script(unpacked, "preinst", host, action, package=package)

    assert preinst(host) == (0, "")
    install(host, "present", top=payload(unpacked))
    assert preinst(host) == (0, ""), "its own"
    for number, (first, message) in enumerate(
        [
            (install_as_the_role, "Ansible's role rcron.cluster.rcron has installed rcron on this host"),
            (lambda folder: install(folder, "present"), "packaging/install.py has installed rcron on this host"),
        ]
    ):
        other = tmp_path / str(number)
        other.mkdir()
        first(other)
        status, said = preinst(other)
        assert status == 1
        assert message in said
        assert "then install the package" in said
    foreign = tmp_path / "foreign"
    (foreign / "usr/bin").mkdir(parents=True)
    (foreign / "usr/bin/rcron").symlink_to("/opt/c-rcron")
    status, said = preinst(foreign)
    assert status == 1
    assert "there is a /usr/bin/rcron already, and not from this package: remove it" in said


def test_a_purge_removes_the_configurations_unless_somebody_else_uses_them_by_then(host, unpacked):
    install(host, "present", top=payload(unpacked))
    install(host, "absent", top=payload(unpacked))
    assert script(unpacked, "postrm", host, "remove") == (0, "")
    assert (host / "etc/rcron/rcron.conf").exists()
    used = host.with_name("used")
    shutil.copytree(host, used)
    install_as_the_role(used)
    assert script(unpacked, "postrm", used, "purge") == (0, "")
    assert (used / "etc/rcron/rcron.conf").exists()
    assert script(unpacked, "postrm", host, "purge") == (0, "")
    assert not (host / "etc/rcron").exists()
