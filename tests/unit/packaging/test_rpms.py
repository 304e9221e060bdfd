# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The .rpm's, built and read with Debian's rpm; their scriptlets run for a folder that stands for a host's root.

No system of Red Hat's family is at hand, on which they could be installed.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from rcron import __version__
from tests.unit.packaging.test_install import CHECKOUT, CONF, contents, host, install, install_as_the_role

__all__ = ["host"]

NAMES = ("rcron", "rcron-agent", "rcron-metrics")

#: What rpmlint says of any package that Debian's rpmbuild makes of these files.
EXPECTED = {
    "no-signature": "a release has none; the tag names the checksums",
    "invalid-license": "Debian's rpmlint knows no licences at all",
    "only-non-binary-in-usr-lib": "a unit's place is there, whatever the architecture",
    "no-documentation": "rcron-agent's is in rcron",
    "dangerous-command-in-%pre": "the word install, in a message",
    "dangerous-command-in-%postun": "rm: of what the services have written",
}

pytestmark = pytest.mark.needs("rpmbuild", "rpm")


def build(folder: pathlib.Path, **environment: str) -> list[pathlib.Path]:
    """Build the packages; their paths in the order of NAMES."""
    subprocess.run([CHECKOUT / "packaging/rpm.sh", folder], check=True, env={**os.environ, **environment})
    return [folder / f"{name}-{__version__}-1.noarch.rpm" for name in NAMES]


def ask(package: pathlib.Path, *words: str) -> str:
    return subprocess.run(["rpm", "-qp", *words, package], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    return build(tmp_path_factory.mktemp("rpms"))


@pytest.fixture
def unpacked(host: pathlib.Path, packages: list[pathlib.Path]) -> pathlib.Path:
    """A host's root with rcron's files."""
    archive = subprocess.run(
        ["rpm2archive", "--nocompression", "-"], stdin=packages[0].open("rb"), check=True, capture_output=True
    )
    subprocess.run(["tar", "--extract", "--directory", host], input=archive.stdout, check=True)
    return host


def run(package: pathlib.Path, tag: str, host: pathlib.Path, left: int) -> tuple[int, str]:
    """Run a scriptlet as rpm does, with the number of versions that will be installed then."""
    text = ask(package, "--queryformat", f"%{{{tag}}}")
    for path in ("/etc/tmpfiles.d", "/usr/bin/rcron", "/usr/share/rcron"):
        text = text.replace(path, f"{host}{path}")
    text = text.replace("/run/systemd/system", f"{host}/run/systemd/system")
    ran = subprocess.run(
        ["sh", "-c", text, "sh", str(left)],
        check=False,
        env={"PATH": "/usr/bin:/bin", "DESTDIR": str(host)},
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stderr


def test_they_are_the_same_whoever_builds_them(packages, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    again = build(tmp_path / "again", TMPDIR=str(tmp_path / "elsewhere"), TZ="Asia/Tokyo", HOME=str(tmp_path))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packages]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.needs("rpmlint", "rpmlint")
def test_rpmlint_finds_nothing_that_could_be_otherwise(packages):
    checked = subprocess.run(["rpmlint", *packages], check=False, capture_output=True, text=True).stdout
    found = set(re.findall(r": [EW]: (\S+)", checked))
    assert "3 packages" in checked
    assert found == set(EXPECTED), checked


def test_their_metadata(packages):
    for name, package in zip(NAMES, packages):
        assert (
            ask(package, "--queryformat", "%{NAME} %{VERSION} %{ARCH} %{LICENSE}") == f"{name} {__version__} noarch MIT"
        )
    assert {"python3 >= 3.9", "systemd >= 247"} <= set(ask(packages[0], "--requires").splitlines())
    for package in packages[1:]:
        assert f"rcron >= {__version__}" in ask(package, "--requires").splitlines()
    assert "/usr/bin/python3" in ask(packages[0], "--filetriggers")


def test_they_have_the_files_of_the_debian_packages_and_no_program(packages, tmp_path):
    subprocess.run([CHECKOUT / "packaging/deb.sh", tmp_path], check=True)
    for name, package in zip(NAMES, packages):
        debian = subprocess.run(
            ["dpkg-deb", "--contents", tmp_path / f"{name}_{__version__}_all.deb"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        files = {line.split()[5][1:] for line in debian.splitlines() if line[0] == "-"}
        files = {path for path in files if not path.endswith(("/changelog.gz", "/copyright"))}
        dumped = [line.split() for line in ask(package, "--dump").splitlines()]
        assert {line[0] for line in dumped if line[4].startswith("0100")} - files == {
            f"/usr/share/licenses/{name}/LICENSE"
        }
        assert files - {line[0] for line in dumped} == set()
        assert {tuple(line[5:7]) for line in dumped} == {("root", "root")}


def test_an_installation_an_upgrade_and_a_removal(packages, unpacked):
    before = contents(unpacked)
    for left in (1, 2):
        assert run(packages[0], "PREIN", unpacked, left) == (0, "")
        assert run(packages[0], "POSTIN", unpacked, left) == (0, "")
        assert os.readlink(unpacked / "usr/bin/rcron").startswith(f"/usr/lib/rcron/{__version__}-")
    installed = contents(unpacked)
    assert "# Written by the package rcron, for" in (unpacked / "etc/tmpfiles.d/rcron.conf").read_text()
    (unpacked / "etc/rcron/rcron.conf").write_text(CONF)
    assert run(packages[0], "PREUN", unpacked, 1) == (0, "")
    assert contents(unpacked) == {**installed, "etc/rcron/rcron.conf": CONF}, "the old version of an upgrade"
    assert run(packages[0], "PREUN", unpacked, 0) == (0, "")
    left = {path: text for path, text in contents(unpacked).items() if path not in before}
    assert left.pop("etc/rcron/rcron.conf") == CONF
    assert all(text == oct(0o40755) for text in left.values()), left


@pytest.mark.parametrize("first", [install_as_the_role, lambda host: install(host, "present")])
def test_others_work_is_left_alone(packages, unpacked, first):
    first(unpacked)
    before = contents(unpacked)
    for package in packages:
        status, said = run(package, "PREIN", unpacked, 1)
        assert status == 1
        assert "then install the package" in said
    assert contents(unpacked) == before


def test_the_agent_stays_while_it_serves_a_cluster(packages, host):
    text = ask(packages[1], "--queryformat", "%{PREUN}").replace("/etc/rcron", f"{host}/etc/rcron")
    served = host / "etc/rcron/agent.d/rcron.conf"
    served.parent.mkdir(parents=True)
    served.write_text("")
    ran = subprocess.run(["sh", "-c", text, "sh", "0"], check=False, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "has rcron-agent serve a cluster: disconnect the feeder" in ran.stderr
    assert subprocess.run(["sh", "-c", text, "sh", "1"], check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs a package")
def test_the_folder_of_another_user_stays_his(packages, tmp_path):
    """Prometheus could not write any more, and everyone could look into a folder that was closed."""
    folder = tmp_path / "var/lib/prometheus"
    folder.mkdir(parents=True)
    os.chown(folder, 65534, 65534)
    folder.chmod(0o750)
    options = ["--root", tmp_path, "--nodeps", "--noscripts", "--ignoreos", "--install"]
    subprocess.run(["rpm", *options, packages[2]], check=True, capture_output=True)
    assert (tmp_path / "usr/lib/systemd/system/rcron-metrics.timer").exists()
    assert (folder.stat().st_uid, folder.stat().st_mode) == (65534, 0o40750)
    script = ask(packages[2], "--queryformat", "%{POSTIN}").replace("/var", f"{tmp_path}/var")
    assert subprocess.run(["sh", "-c", script, "sh", "2"], check=False, capture_output=True).stderr == b""
    assert (folder / "node-exporter").is_dir()
    assert (folder.stat().st_uid, folder.stat().st_mode) == (65534, 0o40750)
