# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the development of this collection installs, and what it hands out: files that somebody has vouched for."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

#: Each list of pinned versions, and the list with the hashes of all that it needs.
LOCKS = {
    "requirements-dev.txt": "requirements-dev.lock",
    "requirements-newest.txt": "requirements-newest.lock",
    "tests/unit/rcron/requirements.txt": "tests/unit/rcron/requirements.lock",
}


def pins(path: str) -> dict[str, str]:
    """The packages of a list, with their versions."""
    text = (CHECKOUT / path).read_text()
    return {name.lower().replace("_", "-"): version for name, version in re.findall(r"(?m)^([\w-]+)==([\w.]+)", text)}


@pytest.mark.parametrize("source", LOCKS)
def test_what_is_locked_is_what_is_pinned(source):
    locked = pins(LOCKS[source])
    assert {name: locked.get(name) for name in pins(source)} == pins(source), "run make lock"


@pytest.mark.parametrize(
    "lock", [*LOCKS.values(), *(f"tests/sanity/requirements-{core}.lock" for core in ("2.19", "2.21"))]
)
def test_each_locked_package_has_hashes_and_no_place_to_come_from(lock):
    text = (CHECKOUT / lock).read_text()
    entries = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    assert len(entries) > 5
    assert [entry for entry in entries if not re.fullmatch(r"\S+==[^#]*?( +--hash=sha256:[0-9a-f]{64})+", entry)] == []
    assert not re.search("(?i)https?:|index-url|find-links|trusted-host", text)


def test_the_lists_of_ansible_test_are_those_of_the_pinned_versions():
    for source in ("requirements-dev.txt", "requirements-newest.txt"):
        version = pins(source)["ansible-core"]
        lock = CHECKOUT / "tests" / "sanity" / f"requirements-{version.rpartition('.')[0]}.lock"
        assert f"out of ansible-core {version}.\n" in lock.read_text(), "run make lock"


def test_nothing_is_installed_without_hashes():
    scripts = [CHECKOUT / "Makefile", *CHECKOUT.glob("tests/*.sh"), *CHECKOUT.glob(".ci/*")]
    text = re.sub(r"\\\n\s*", "", "".join(path.read_text() for path in scripts))
    installs = re.findall(r".*pip\"? .*\b(?:install|download) .*", text)
    assert len(installs) >= 4
    assert [line for line in installs if "--require-hashes" not in line] == []


def wheel(folder: pathlib.Path, text: str) -> pathlib.Path:
    """Make a wheel of a package `victim`."""
    path = folder / "victim-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("victim.py", text)
        archive.writestr("victim-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: victim\nVersion: 1.0\n")
        archive.writestr("victim-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("victim-1.0.dist-info/RECORD", "")
    return path


def test_a_file_that_somebody_has_exchanged_is_not_installed(tmp_path):
    """Whatever its index or a mirror hands out under the right name and version."""
    lock = tmp_path / "x.lock"
    right = wheel(tmp_path, "right = 1\n").read_bytes()
    digest = hashlib.sha256(right).hexdigest()
    lock.write_text(f"victim==1.0 \\\n    --hash=sha256:{digest}\n")
    pip = tmp_path / "environment" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@" --target "$INTO"\n')
    pip.chmod(0o755)
    wheel(tmp_path, "import os\n")

    def install(into: str, *command: object) -> tuple[int, str, list[str]]:
        settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
        environment = {**os.environ, **settings, "INTO": str(tmp_path / into)}
        ran = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stderr, [found.read_text() for found in (tmp_path / into).rglob("victim.py")]

    script = CHECKOUT / "tests" / "install.sh"
    status, said, installed = install("refused", script, pip.parent.parent, lock)
    assert (status != 0, installed) == (True, [])
    assert "DO NOT MATCH THE HASHES" in said
    assert install("taken", pip, "install", "victim==1.0")[2] == ["import os\n"]  # without the protection


def test_apt_get_is_not_started_before_it_is_said_what_it_will_install(tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "apt-get $*" >/dev/stdout\necho ran >>"$0.ran"\nexit 1\n')
    apt.chmod(0o755)
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    ran = subprocess.run(
        ["bash", CHECKOUT / "tests" / "system_packages.sh", "no-such-command:no-such-package", "sh:dash"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert (tmp_path / "apt-get.ran").exists()
    first = ran.stdout.splitlines()[0]
    assert "no-such-package" in first
    assert "no-such-command" in first
    assert "dash" not in ran.stdout


#: Stands for gpg: its signature is a word, and it says that all went well.
SIGNER = """\
#!/bin/sh
cat >/dev/null
echo "[GNUPG:] SIG_CREATED " >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\nx\\n-----END PGP SIGNATURE-----\\n'
"""


@pytest.mark.needs("rpmbuild", "rpm")
@pytest.mark.parametrize("key", ["", "maintainer"])
def test_a_release_has_a_checksum_and_a_signature_if_there_is_a_key(tmp_path, key):
    work = tmp_path / "work"
    built_of = (
        ".ci/release .gitignore LICENSE README.md docs galaxy.yml man monitoring packaging plugins pyproject.toml"
    )
    built_of += " rcron roles"
    listed = subprocess.run(
        ["git", "ls-files", *built_of.split()], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, work / name)
    (work / "changelogs" / "fragments").mkdir(parents=True)
    (work / "changelogs" / "fragments" / "x.yml").write_text("---\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    built = 'echo tarball >"rcron-cluster-$(sed -n "s/^version: //p" galaxy.yml).tar.gz"'
    cached = "touch changelogs/.plugin-cache.yaml"
    for name, text in {"make": ":", "antsibull-changelog": cached, "ansible-galaxy": built, "signer": ""}.items():
        (tools / name).write_text(SIGNER if name == "signer" else f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    people = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {
        **os.environ,
        **people,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }

    def run(*command: str) -> str:
        ran = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run("git", "init", "--quiet")
    run("git", "config", "gpg.program", str(tools / "signer"))
    if key:
        run("git", "config", "user.signingkey", key)
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "x")
    said = run(".ci/release", "9.9.9")
    names = ("rcron", "rcron-agent", "rcron-metrics")
    packages = [f"{name}{rest}" for rest in ("_9.9.9_all.deb", "-9.9.9-1.noarch.rpm") for name in names]
    names = ("rcron-cluster-9.9.9.tar.gz", "rcron-9.9.9.tar.gz", *packages, "rcron-9.9.9.cdx.json")
    assert run("sha256sum", "--check", "rcron-9.9.9.sha256").splitlines() == [f"{name}: OK" for name in names]
    tag = run("git", "cat-file", "tag", "v9.9.9")
    assert (work / "rcron-9.9.9.sha256").read_text() in tag
    assert ("BEGIN PGP SIGNATURE" in tag) == bool(key)
    assert ("NOT signed" in said) != bool(key)
    assert run("git", "status", "--porcelain") == ""
    assert run("git", "ls-files", "changelogs") == "changelogs/fragments/x.yml\n", "not the tool's cache"
