# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""packaging/install.py: it does without Ansible what the role does, in folders that stand for a host's root."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys

import jinja2
import pytest
import yaml
from ansible_collections.rcron.cluster.plugins.module_utils.installation import installer
from ansible_collections.rcron.cluster.plugins.module_utils.installation.package import Package, Wanted
from ansible_collections.rcron.cluster.plugins.module_utils.installation.places import Places
from ansible_collections.rcron.cluster.plugins.module_utils.installation.plan import present

from rcron import __version__, settings
from rcron.agent import clusters
from rcron.launcher import LAUNCHER

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
CONF = "cluster_name = billing\ndefault_state = active\n"

#: The section of the page, and its commands that need systemd and keepalived.
BY_HAND = (CHECKOUT / "docs/install.md").read_text().partition("\n## By hand\n")[2].partition("\n## ")[0]
ONLY_ON_A_HOST = ("rcronctl", "systemctl", "rm ", "rmdir ")

#: The file for systemd, below a host's root.
UNIT = "etc/systemd/system/rcron-agent.service"

#: The oldest Python that is to be enough, if this machine has it: -I and -S leave it nothing but its own library.
OLDEST = next(iter(sorted(pathlib.Path.home().glob(".pyenv/versions/3.9.*/bin/python3"))), sys.executable)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> pathlib.Path:
    """An empty folder that stands for a host's root."""
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


def install(host: pathlib.Path, *words: str, top: pathlib.Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    argv = [OLDEST, "-IS", top / "packaging" / "install.py", *words, "--destdir", host]
    if "--python" not in words and words[0] != "absent":
        argv += ["--python", sys.executable]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


def contents(host: pathlib.Path) -> dict[str, str]:
    """All below a folder: what files and links hold (not of bytecode, which has times in it), and folders' modes."""
    return {
        str(path.relative_to(host)): (
            f"-> {os.readlink(path)}"
            if path.is_symlink()
            else oct(path.stat().st_mode)
            if path.is_dir()
            else path.suffix
            if path.suffix == ".pyc"
            else path.read_bytes().decode("latin-1")
        )
        for path in sorted(host.rglob("*"))
    }


def role_package() -> dict[str, str]:
    """What the role puts on a host, found by its own patterns."""
    patterns = yaml.safe_load((CHECKOUT / "roles/rcron/vars/main.yml").read_text())["__rcron_patterns"]
    paths = [path for pattern in patterns for path in CHECKOUT.glob(pattern)]
    return {str(path.relative_to(CHECKOUT)): path.read_text() for path in paths}


def install_as_the_role(host: pathlib.Path) -> None:
    paths = {name: f"{host}{path}" for name, path in Places().options().items()}
    wanted = Wanted(Package(role_package(), sys.executable), CONF)
    present(Places(**paths, destdir=str(host)), wanted).apply()


def test_it_installs_what_the_role_installs(host, tmp_path):
    (tmp_path / "conf").write_text(CONF)
    done = install(host, "present", "--config", str(tmp_path / "conf"))
    assert done.returncode == 0, done.stderr
    assert f"created {host}/usr/bin/rcron\n" in done.stdout
    other = tmp_path / "other"
    other.mkdir()
    install_as_the_role(other)
    ours, theirs = contents(host), contents(other)
    boot = "etc/tmpfiles.d/rcron.conf"
    assert ours.pop(boot) == theirs.pop(boot).replace(
        f"# Written by {installer.ROLE}, for", f"# Written by packaging/install.py --python={sys.executable}, for"
    )
    for folder in ("etc/rcron/agent.d", "etc/systemd", "etc/systemd/system"):
        assert ours.pop(folder) == oct(0o40755)
    assert ours.pop(UNIT).startswith(installer.UNIT_MARK), "a feeder's role has its own"
    assert ours == theirs
    assert ours["etc/rcron/rcron.conf"] == CONF
    assert not any(path.startswith("run") for path in ours), "a state's folder is made when the host boots"


def test_links_and_launchers_name_the_paths_of_the_host(host):
    install(host, "present")
    library = os.path.dirname(os.path.dirname(os.readlink(host / "usr/bin/rcron")))
    assert library.startswith("/usr/lib/rcron/")
    launcher = (host / library[1:] / "bin/rcron").read_text()
    assert launcher == LAUNCHER.format(python=sys.executable, library=library)
    ran = subprocess.run(
        [sys.executable, "-IS", "-c", launcher.replace(library, f"{host}{library}"), "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("rcron ")


def test_a_second_run_and_a_check_find_nothing_to_change(host):
    tried = install(host, "check")
    assert tried.returncode == 1
    assert f"would create {host}/usr/bin/rcron\n" in tried.stdout
    assert contents(host) == {}
    done = install(host, "present")
    assert tried.stdout.replace("would create", "created") == done.stdout
    before = contents(host)
    for state in ("present", "check"):
        again = install(host, state)
        assert (again.returncode, again.stdout) == (0, "nothing to change: rcron is installed\n")
    (host / "usr/bin/rcronctl").unlink()
    assert install(host, "check").returncode == 1
    assert install(host, "present").stdout == f"created {host}/usr/bin/rcronctl\n"
    assert contents(host) == before


def test_a_host_without_a_configuration_runs_nothing_at_first(host):
    install(host, "present")
    conf = host / "etc/rcron/rcron.conf"
    assert "default_state = passive\n" in conf.read_text()
    conf.write_text(CONF)
    assert install(host, "present").returncode == 0
    assert conf.read_text() == CONF, "what an administrator wrote stays"


def test_absent_leaves_nothing_and_says_so_twice(host):
    before = contents(host)
    install(host, "present", "--prefix", "/usr/local")
    removed = install(host, "absent")
    assert removed.returncode == 0, removed.stderr
    assert f"removed {host}/usr/local/bin/rcron\n" in removed.stdout
    assert [path for path in host.rglob("*") if not path.is_dir()] == []
    assert not list(host.glob("**/rcron*"))
    assert before == {}
    assert install(host, "absent").stdout == "nothing to change: rcron is not installed\n"


def test_the_options_of_the_first_run_are_kept(host):
    somebody = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()))
    install(host, "present", "--prefix", "/opt/rcron/", "--state-user", somebody)
    text = (host / "etc/tmpfiles.d/rcron.conf").read_text()
    assert text.startswith(
        f"# Written by packaging/install.py --prefix=/opt/rcron --python={sys.executable} --state-user={somebody}, for"
    )
    assert f"d /run/rcron 0711 {somebody} root -\n" in text
    assert install(host, "check").stdout == "nothing to change: rcron is installed\n"
    second = install(host, "present", "--conf", "/etc/rcron/reports.conf", "--prefix", "/opt/rcron")
    assert second.returncode == 0, second.stderr
    assert "--state-user" not in (host / "etc/tmpfiles.d/rcron-reports.conf").read_text()
    moved = install(host, "present", "--prefix", "/usr")
    assert moved.returncode == 2
    assert "--prefix is /usr, and rcron is installed below /opt/rcron" in moved.stderr
    first = install(host, "absent")
    assert first.returncode == 0, first.stderr
    assert (host / "opt/rcron/bin/rcron").is_symlink(), "the second cluster needs it"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prefix", "usr"], "--prefix is 'usr', which is not an absolute path without blanks: name another"),
        (["--prefix", "/usr\nlocal"], "--prefix is '/usr\\nlocal', which is not an absolute path"),
        (["--conf", "/etc/my conf"], "--conf is '/etc/my conf', which is not an absolute path"),
        (["--config", "/nowhere"], "--config is /nowhere, and there is no such file: name another"),
        (["--config", "/etc"], "/etc: Is a directory"),
        (["--config", "CONF"], "CONF:2: unknown name \"nice\""),
        (["--python", "/bin/true"], "--python is /bin/true, which cannot run the wrapper (it prints nothing)"),
        (["--state-user", "no-such-user"], "--state-user is no-such-user, and there is no such user"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)  # fmt: skip
def test_bad_input_changes_nothing(host, tmp_path, words, message):
    (tmp_path / "conf").write_text("cluster_name = a\nnice = 3\n")
    words = [word.replace("CONF", str(tmp_path / "conf")) for word in words]
    failed = install(host, "present", *words)
    assert failed.returncode == 2
    assert message.replace("CONF", str(tmp_path / "conf")) in failed.stderr
    assert failed.stdout == ""
    assert contents(host) == {}


def test_a_destdir_that_is_not_there_is_not_made(host):
    failed = install(host / "image", "present")
    assert (failed.returncode, contents(host)) == (2, {})
    assert "there is no such folder" in failed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_root_writes_into_no_image_whose_owner_could_lead_him_elsewhere(host):
    """He would put a link in a folder's place once root has looked at it."""
    os.chown(host, 12345, 12345)
    failed = install(host, "present")
    assert (failed.returncode, contents(host)) == (2, {})
    assert f"--destdir is {host}, but {host} belongs to uid 12345" in failed.stderr


def test_no_link_in_an_image_leads_to_this_machines_files(host, tmp_path):
    (tmp_path / "real").mkdir()
    (host / "etc").mkdir()
    (host / "etc/tmpfiles.d").symlink_to(tmp_path / "real")
    failed = install(host, "present")
    assert failed.returncode == 2
    assert f"outside {host}: make the link a relative one" in failed.stderr
    assert list((tmp_path / "real").iterdir()) == []
    assert not (host / "usr").exists()


def test_another_program_of_that_name_is_refused(host):
    (host / "usr/bin").mkdir(parents=True)
    (host / "usr/bin/rcron").write_text("the C rcron")
    before = contents(host)
    failed = install(host, "present")
    assert failed.returncode == 2
    assert f"bin_dir (--prefix) is {host}/usr/bin, but {host}/usr/bin/rcron is there already" in failed.stderr
    assert contents(host) == before


@pytest.mark.parametrize("state", ["present", "check", "absent"])
def test_what_ansible_has_installed_is_left_to_ansible(host, state):
    install_as_the_role(host)
    before = contents(host)
    failed = install(host, state)
    assert failed.returncode == 2
    assert "the role rcron.cluster.rcron has installed rcron on this host" in failed.stderr
    assert contents(host) == before


def test_an_administrator_may_take_over_from_ansible_and_ansible_from_him(host):
    install_as_the_role(host)
    (host / UNIT).parent.mkdir(parents=True)
    (host / UNIT).write_text("# Written by Ansible, role rcron.cluster._feeder: …\n")
    before = contents(host)
    taken = install(host, "present", "--take-over")
    assert taken.stdout == (
        f"changed {host}/etc/tmpfiles.d/rcron.conf\ncreated {host}/etc/rcron/agent.d\nchanged {host}/{UNIT}\n"
    ), taken.stderr
    assert install(host, "check").returncode == 0
    install_as_the_role(host)
    after = contents(host)
    assert after.pop("etc/rcron/agent.d")
    assert after.pop(UNIT) != before.pop(UNIT)
    assert after == before
    assert install(host, "absent", "--take-over").returncode == 0
    assert not list(host.glob("**/rcron*"))


def test_the_folder_that_it_is_run_from_stays_as_it_was(host, tmp_path):
    top = tmp_path / "rcron-1.0"
    for path in [*role_package(), "packaging/install.py", "roles/_feeder/templates/rcron-agent.service.j2"]:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / path, top / path)
    shutil.copytree(
        CHECKOUT / "plugins/module_utils", top / "plugins/module_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    before = contents(top)
    assert install(host, "present", top=top).returncode == 0
    assert contents(top) == before


def test_the_commands_of_the_page(host, tmp_path):
    """docs/install.md's, in the order in which it shows them, out of the archive that `make tarball` builds."""
    commands = re.findall(r"^    (\S.*)$", re.sub("```.*?```", "", BY_HAND, flags=re.DOTALL), re.MULTILINE)
    commands = [command for command in commands if not command.startswith(ONLY_ON_A_HOST)]
    unpack, write, check, present, absent = commands
    assert unpack.startswith("tar -xzf ")
    subprocess.run([CHECKOUT / "packaging/tarball.sh", tmp_path], check=True)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        where = tmp_path if command == unpack else tmp_path / f"rcron-{__version__}"
        environment = {"PATH": "/usr/bin:/bin", "DESTDIR": str(host)}
        return subprocess.run(
            ["sh", "-c", command], check=False, cwd=where, env=environment, capture_output=True, text=True
        )

    assert [run(command).returncode for command in (unpack, write, check, present, check)] == [0, 0, 1, 0, 0]
    conf = host / "etc/rcron/rcron.conf"
    assert settings.parse(conf.read_text(), str(conf)).cluster_name == "billing"
    assert run(absent).returncode == 0
    assert not list(host.glob("**/rcron*"))


def filled(template: str, **values: object) -> str:
    """A role's template, without comments."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    return without_comments(environment.from_string((CHECKOUT / "roles" / template).read_text()).render(values))


def without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line[0] not in "#\n")


def test_the_pages_keepalived_files_are_the_roles(tmp_path):
    blocks = re.findall(r"^```\n# (/\S+)\n(.*?)^```\n", BY_HAND, re.MULTILINE | re.DOTALL)
    assert [path for path, _text in blocks] == [
        "/etc/keepalived/rcron.conf",
        "/etc/rcron/agent.d/rcron.conf",
        "/etc/systemd/system/keepalived.service.d/rcron.conf",
    ]
    hook, cluster, drop_in = (text for _path, text in blocks)
    assert hook == filled(
        "rcron_keepalived/templates/rcron.conf.j2", rcron_keepalived_fifo="/run/rcron-keepalived.fifo"
    )

    conf = {"conf": "/etc/rcron/rcron.conf", "options": {"instance": "VI_1", "fifo": "/run/rcron-keepalived.fifo"}}
    role = filled("_feeder/templates/agent.conf.j2", item=conf, __feeder="keepalived")
    read = [
        {name: value for name, (_line, value) in clusters.assignments(text, "").items()} for text in (cluster, role)
    ]
    assert read[0] == read[1]

    names = yaml.safe_load((CHECKOUT / "roles/rcron_keepalived/vars/main/names.yml").read_text())
    stop = names["__rcron_keepalived_stop"].replace("{{ __feeder_rcronctl }}", "/usr/bin/rcronctl")
    lines = filled(
        "_feeder/templates/drop-in.conf.j2",
        __feeder_confs=["/etc/rcron/rcron.conf"],
        __feeder_rcronctl="/usr/bin/rcronctl",
        __feeder_drop_in={"feeder": names["__rcron_keepalived_drop_in"]["feeder"]},
    ).splitlines()
    assert sorted(drop_in.splitlines()) == sorted([*lines, stop.replace("\\1", "/etc/rcron/rcron.conf")])


def test_the_agents_unit_is_the_feeder_roles(host):
    install(host, "present")
    link = os.readlink(host / "usr/bin/rcron-agent")
    text = (host / UNIT).read_text()
    assert text.splitlines()[1] == f"# It runs from {link}.", "each version has its own unit, which restarts the agent"
    assert without_comments(text) == filled(
        "_feeder/templates/rcron-agent.service.j2",
        __feeder_agent_program="/usr/bin/rcron-agent",
        __feeder_agent_link={"stat": {}},
    )


def test_a_unit_of_somebody_else_is_refused(host):
    (host / UNIT).parent.mkdir(parents=True)
    (host / UNIT).write_text("[Service]\nExecStart=/opt/rcron-agent\n")
    before = contents(host)
    failed = install(host, "present")
    assert failed.returncode == 2
    assert (
        f"the unit of rcron-agent is {host}/{UNIT}, which is there already, and not from this script" in failed.stderr
    )
    assert contents(host) == before


def test_absent_leaves_a_cluster_that_the_agent_serves(host):
    install(host, "present")
    served = host / "etc/rcron/agent.d/rcron.conf"
    served.write_text("conf = /etc/rcron/rcron.conf\nfeeder = keepalived\ninstance = VI_1\n")
    before = contents(host)
    failed = install(host, "absent")
    assert failed.returncode == 2
    assert f"{served} has rcron-agent serve this cluster: disconnect the feeder, then remove {served}" in failed.stderr
    assert contents(host) == before
    served.write_text("conf = /etc/rcron/other.conf\nfeeder = keepalived\ninstance = VI_1\n")
    assert install(host, "absent").returncode == 0
    assert [str(path.relative_to(host)) for path in host.rglob("*") if path.is_file()] == [
        "etc/rcron/agent.d/rcron.conf"
    ], "it is not rcron.conf's"


def test_a_link_to_the_agent_does_not_outlive_it_in_an_image(host):
    install(host, "present")
    wanted = host / "etc/systemd/system/multi-user.target.wants/rcron-agent.service"
    wanted.parent.mkdir()
    wanted.symlink_to("/etc/systemd/system/rcron-agent.service")
    assert install(host, "absent").returncode == 0
    assert not wanted.is_symlink()


def test_the_archive_is_the_same_whoever_builds_it(tmp_path):
    archives = []
    for name in ("one", "two"):
        done = subprocess.run(
            ["make", "tarball", f"BUILD={tmp_path / name}"], check=True, cwd=CHECKOUT, capture_output=True, text=True
        )
        (archive,) = (tmp_path / name).glob("rcron-*.tar.gz")
        assert done.stdout == f"tarball: {archive}\n"
        archives.append(archive.read_bytes())
    assert archives[0] == archives[1]


def test_only_root_changes_a_host():
    script = (
        f"import os, runpy, sys; os.geteuid = lambda: 1000; sys.argv = ['install.py', 'check']; "
        f"runpy.run_path({str(CHECKOUT / 'packaging/install.py')!r}, run_name='__main__')"
    )
    failed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr == "install.py: only root may do this: run it with sudo, or name a folder with --destdir\n"
