# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A job runs under rcron as it would without it: what an active node does."""

import ctypes
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

import pytest
from waiting import wait_until

import rcron
from rcron import job as running
from rcron import settings
from rcron.child import FORWARDED

# Prints what a process was given, in a form that two runs can be compared by.
SHOW = """\
import os, signal, sys
status = open("/proc/self/status").read()
print(sys.argv[1:], os.getcwd(), sorted(os.listdir("/proc/self/fd")))
print([line for line in status.splitlines() if line.startswith(("SigBlk", "Umask"))])
print(open("/proc/self/environ", "rb").read())
"""

#: Without most of the thirty real-time signals.
SOME_FORWARDED = [number for number in FORWARDED if number <= signal.SIGRTMIN or number == signal.SIGRTMAX]

#: Reports the dispositions as they were at exec, which Python itself would change.
SIGNALS = "grep -E '^Sig(Blk|Ign)' /proc/self/status"


@pytest.fixture(autouse=True)
def _active(node: Any) -> None:
    node.become("active")


@pytest.mark.parametrize(
    "words",
    [
        ["a", "b  c", "", "*", "$HOME", "'", '"', "\\", "a;b", "`x`", "-c", "--conf", "--help", "--"],
        ["\udcff\udc80", "zürich", "日本", "a\nb"],
    ],
)
def test_the_words_arrive_unchanged(node: Any, words: "list[str]") -> None:
    out = node.run(sys.executable, "-c", "import os, sys; print([os.fsencode(w) for w in sys.argv[1:]])", *words)
    assert out.stdout == f"{[os.fsencode(word) for word in words]}\n"


@pytest.mark.parametrize(
    "environment",
    [
        {"PATH": "/usr/bin:/bin"},
        {"PATH": "/usr/bin:/bin", "LC_CTYPE": "C.UTF-8"},
        {"PATH": "/usr/bin:/bin", "LC_CTYPE": "C"},
        {"PATH": "/usr/bin:/bin", "LC_CTYPE": ""},
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LANG": "de_DE.ISO-8859-1"},
        {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "IFS": ":", "BAD": "\udcff"},
        {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent", "PYTHONVERBOSE": "1"},
    ],
)
def test_the_environment_is_the_very_one(node: Any, environment: "dict[str, str]") -> None:
    plain = subprocess.run(["/usr/bin/env", "-0"], env=environment, capture_output=True, check=True)
    out = node.run("/usr/bin/env", "-0", env=environment, text=False)
    assert out.stderr == b""
    assert out.stdout == plain.stdout


def test_an_environment_of_two_megabytes_arrives_whole(node: Any) -> None:
    environment = {"PATH": "/usr/bin:/bin", **{f"V{i}": "x" * 60_000 for i in range(30)}}
    plain = subprocess.run(["/usr/bin/env", "-0"], env=environment, capture_output=True, check=True)
    assert node.run("/usr/bin/env", "-0", env=environment, text=False).stdout == plain.stdout


def test_an_argument_list_near_the_kernels_limit_arrives_whole(node: Any) -> None:
    words = ["x" * 100_000] * 18
    out = node.run("/bin/sh", "-c", "echo $#; for w; do echo ${#w}; done", "sh", *words, env={"PATH": "/usr/bin:/bin"})
    assert out.stdout.split() == ["18", *["100000"] * 18]


def test_streams_folder_umask_and_descriptors_are_the_callers(node: Any, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", SHOW, "word"]
    options: "dict[str, Any]" = {"cwd": tmp_path, "umask": 0o027, "input": "", "env": {"LC_ALL": "C.UTF-8"}}
    plain = subprocess.run(command, capture_output=True, text=True, check=True, **options)
    assert node.run(*command, **options).stdout == plain.stdout


def test_standard_input_is_the_jobs(node: Any) -> None:
    assert node.run("cat", input="fed by cron\n").stdout == "fed by cron\n"


@pytest.mark.unmeasured
def test_a_closed_standard_stream_stays_closed(node: Any) -> None:
    listing = "ls /proc/self/fd"
    for closed in ("<&-", ">&-", "2>&-", "<&- 2>&-"):
        file = node.folder / "out"
        script = f"{listing} 9>{file} {closed}" if ">&-" in closed and "2>" not in closed else f"{listing} {closed}"
        plain = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        prefixed = " ".join(node.command()) + " " + script
        assert (
            subprocess.run(["sh", "-c", prefixed], capture_output=True, text=True, check=False).stdout == plain.stdout
        )


def test_no_signal_is_ignored_or_blocked_that_was_not(node: Any) -> None:
    plain = subprocess.run(["/bin/sh", "-c", SIGNALS], capture_output=True, text=True, check=True)
    assert node.run("/bin/sh", "-c", SIGNALS).stdout == plain.stdout
    # Python ignores SIGPIPE (13) and SIGXFSZ (25); a caller by way of posix_spawn(3) ignores 32 and 33, glibc's own.
    assert int(plain.stdout.split()[-1], 16) & (1 << 12 | 1 << 24) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1])
def test_a_signal_that_the_caller_ignores_stays_ignored(node: Any, number: int) -> None:
    def ignore() -> None:
        signal.signal(number, signal.SIG_IGN)

    plain = subprocess.run(["/bin/sh", "-c", SIGNALS], capture_output=True, text=True, check=True, preexec_fn=ignore)
    out = node.run("/bin/sh", "-c", SIGNALS + "; exit 7", preexec_fn=ignore)
    assert out.stdout == plain.stdout
    # With SIGCHLD ignored the kernel throws exit statuses away, unless somebody minds.
    assert out.returncode == 7


def test_a_signal_that_the_caller_blocks_stays_blocked(node: Any) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGALRM})

    plain = subprocess.run(["/bin/sh", "-c", SIGNALS], capture_output=True, text=True, check=True, preexec_fn=block)
    assert node.run("/bin/sh", "-c", SIGNALS, preexec_fn=block).stdout == plain.stdout


def test_a_job_in_a_pipeline_dies_of_sigpipe_as_ever(node: Any) -> None:
    script = f"{{ {' '.join(node.command('yes'))}; echo $? >&2; }} | head -1"
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stderr == "141\n"


@pytest.mark.parametrize("status", [0, 1, 3, 126, 127, 200, 255])
def test_the_exit_status_is_the_jobs(node: Any, status: int) -> None:
    assert node.run("sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
def test_a_job_that_a_signal_killed_gives_128_plus_its_number(node: Any, number: int) -> None:
    assert node.run("sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


@pytest.mark.parametrize("number", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_a_signal_sent_to_rcron_reaches_the_job(node: Any, number: str, tmp_path: pathlib.Path) -> None:
    ready = tmp_path / "ready"
    job = f"trap 'echo got {number}; exit 9' {number}; touch {ready}; while :; do sleep 0.01; done"
    process = node.start("sh", "-c", job)
    wait_until(ready.exists, "ready is there")
    process.send_signal(getattr(signal, f"SIG{number}"))
    out = process.communicate(timeout=10)[0]
    assert (out, process.returncode) == (f"got {number}\n", 9)


def test_signals_at_any_moment_of_the_start_end_rcron_and_its_job(node: Any) -> None:
    """TERM before the job is there ends rcron; from then on it reaches the job: never is it lost."""
    for i in range(60):
        process = node.start("sleep", "60", stderr=subprocess.DEVNULL)
        time.sleep(i * 0.001)
        process.terminate()
        assert process.wait(timeout=5) in (-signal.SIGTERM, 128 + signal.SIGTERM)
        process.communicate()
    left = subprocess.run(["pgrep", "-P", str(os.getpid()), "-x", "sleep"], capture_output=True, check=False)
    assert left.stdout == b""


def signal_itself(node: Any, at: str, number: int) -> None:
    """Send rcron a signal while it logs the line `at`, when it does not wait for signals."""
    launcher = node.rcron.read_text()
    kill = f"    import posix\n    if {at!r} in line: posix.kill(posix.getpid(), {int(number)})\nlog._send"
    node.rcron.write_text(launcher.replace("log._send", kill, 1))


@pytest.mark.parametrize("number", SOME_FORWARDED)
def test_a_signal_between_two_steps_of_the_start_reaches_the_job(node: Any, number: int) -> None:
    """It is sent before the fork, and handed on as soon as there is a job: mostly before that has been executed."""
    signal_itself(node, "status=start", number)
    began = time.monotonic()
    assert node.run("sleep", "25").returncode == 128 + number
    assert time.monotonic() - began < 20
    assert node.log()[-1].endswith(f" exit={128 + number} cmd=sleep 25")


@pytest.mark.parametrize("number", SOME_FORWARDED)
def test_a_signal_after_the_jobs_end_changes_nothing(node: Any, number: int) -> None:
    signal_itself(node, " exit=", number)
    assert node.run("sh", "-c", "exit 3").returncode == 3
    assert node.log_without_times()[-1].endswith("state=active status=fail dur=N exit=3 cmd=sh -c exit 3")


def test_a_terminals_interrupt_reaches_the_job_once(node: Any, tmp_path: pathlib.Path) -> None:
    import pty

    ready = tmp_path / "ready"
    counter = f"trap 'echo -n I' INT; touch {ready}; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.05; done; echo .; exit 5"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(str(node.rcron), node.command("sh", "-c", counter))
    wait_until(ready.exists, "ready is there")
    os.write(terminal, b"\x03")
    out = b""
    try:
        while chunk := os.read(terminal, 1024):
            out += chunk
    except OSError:
        pass  # EIO: the terminal's last user is gone
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert out.count(b"I") == 1


def test_a_stopped_job_goes_on_after_sigcont(node: Any, tmp_path: pathlib.Path) -> None:
    ready = tmp_path / "ready"
    process = node.start("sh", "-c", f"touch {ready}; sleep 0.2; echo done", start_new_session=True)
    wait_until(ready.exists, "ready is there")
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(0.1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGCONT)
    assert process.communicate(timeout=10)[0] == "done\n"
    assert process.returncode == 0


@pytest.mark.parametrize("on_demotion", ["continue", "terminate"])
def test_a_job_is_stopped_and_continued_from_a_terminal(node: Any, tmp_path: pathlib.Path, on_demotion: str) -> None:
    import pty

    node.configure(f"on_demotion = {on_demotion}")
    ready = tmp_path / "ready"
    script = f"touch {ready}; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i + 1)); done; echo do''ne; exit 3"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve("/bin/bash", ["bash", "--norc", "--noediting", "-i"], {"PATH": "/usr/bin:/bin", "PS1": "> "})

    def see(text: bytes) -> None:
        out = b""
        while text not in out:
            out += os.read(terminal, 1024)  # EIO if bash ended: the test fails

    os.write(terminal, f'{" ".join(node.command("sh", "-c"))} "{script}"\n'.replace("$", "\\$").encode())
    wait_until(ready.exists, "ready is there")
    os.write(terminal, b"\x1a")
    see(b"Stopped")
    os.write(terminal, b"fg\n")
    see(b"done")
    os.write(terminal, b"echo status=$?; exit\n")
    see(b"status=3")
    os.close(terminal)
    os.waitpid(pid, 0)


def test_a_child_that_rcron_inherited_is_not_taken_for_the_job(node: Any) -> None:
    script = f"sleep 0.1 & exec {' '.join(node.command('sh', '-c'))} 'sleep 0.3; exit 4'"
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 4


@pytest.mark.parametrize(
    ("nice_level", "shown"), [("nice_level = 19", "19"), ("nice_level = 5", "5"), ("nice_level = 0", "0"), ("", "19")]
)
def test_the_job_runs_at_nice_level(node: Any, nice_level: str, shown: str) -> None:
    node.configure(nice_level)
    assert node.run("nice").stdout == shown + "\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_who_may_not_be_less_nice_still_gets_the_job() -> None:
    # The checkout and its interpreter may be in a folder that only root can search.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        shutil.copytree(pathlib.Path(rcron.__file__).parent, folder / "rcron")
        (folder / "state").write_text("active\n")
        (folder / "conf").write_text(f"state_file = {folder}/state\nnice_level = -20\n")
        command = ["/usr/bin/python3", "-m", "rcron", "--conf", str(folder / "conf"), "sh", "-c", "nice; id -u"]
        out = subprocess.run(
            command, cwd=folder, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False
        )
    assert (out.stdout, out.stderr) == (f"{os.nice(0)}\n65534\n", "")


def test_a_job_that_is_not_found_gives_127_and_the_path_that_was_searched(node: Any) -> None:
    out = node.run("no-such-job", env={"PATH": "/usr/bin:/bin"})
    assert out.returncode == 127
    assert out.stderr == "rcron: no-such-job: not found in PATH=/usr/bin:/bin\n"
    assert node.log_without_times()[-1].endswith("state=active status=fail dur=N exit=127 cmd=no-such-job")


def test_a_file_that_is_not_found_or_has_no_interpreter_gives_127(node: Any, tmp_path: pathlib.Path) -> None:
    out = node.run("/nonexistent/job")
    assert (out.returncode, out.stderr) == (127, "rcron: /nonexistent/job: not found\n")
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    out = node.run(str(script))
    assert out.returncode == 127
    assert "the interpreter that its first line names" in out.stderr
    assert node.run("").returncode == 127


def test_a_file_that_is_not_executable_gives_126(node: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").touch()
    for job in (str(tmp_path / "data"), str(tmp_path)):
        out = node.run(job)
        assert (out.returncode, out.stderr) == (126, f"rcron: {job}: Permission denied\n")
    out = node.run("data", env={"PATH": f"/usr/bin:{tmp_path}:/bin"})
    assert (out.returncode, out.stderr) == (126, "rcron: data: Permission denied\n")


def test_path_is_searched_as_execvp_does(node: Any, tmp_path: pathlib.Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        job = tmp_path / folder / "job"
        job.write_text(f"#!/bin/sh\necho {folder}\n")
        job.chmod(0o755)
    path = f"/nonexistent:/etc/passwd:{tmp_path}/one:{tmp_path}/two"
    assert node.run("job", env={"PATH": path}).stdout == "one\n"
    (tmp_path / "one" / "job").chmod(0o644)
    assert node.run("job", env={"PATH": path}).stdout == "two\n"
    assert node.run("job", env={"PATH": ""}, cwd=tmp_path / "two").stdout == "two\n"
    assert node.run("uname", env={}).returncode == 0


def test_a_script_without_an_interpreters_line_is_run_by_sh(node: Any, tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$@"\n')
    script.chmod(0o755)
    assert node.run(str(script), "a", "b  c").stdout == f"{script} a b  c\n"


def test_bash_runs_a_script_without_an_interpreters_line_if_it_is_crons_shell(
    node: Any, tmp_path: pathlib.Path
) -> None:
    script = tmp_path / "script"
    script.write_text('a=(x y); echo "$0" "${a[1]}" "$@"\n')
    script.chmod(0o755)
    out = node.run(str(script), "b", env={"PATH": "/usr/bin:/bin", "SHELL": "/bin/bash"})
    assert (out.stdout, out.stderr) == (f"{script} y b\n", "")


@pytest.mark.parametrize("job", ["/usr/bin/env", "env"])
def test_bash_gives_the_job_its_own_path_and_not_rcrons(node: Any, job: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/bash"}
    bash = ["/bin/bash", "-c"]
    plain = subprocess.run([*bash, f"{job}; :"], env=environment, capture_output=True, text=True, check=True)
    prefix = " ".join(node.command())
    simple = subprocess.run([*bash, f"{prefix} {job}; :"], env=environment, capture_output=True, text=True, check=True)
    assert simple.stdout == plain.stdout
    shell = [*bash, f"{prefix} -c '{job}; :'; :"]
    compound = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
    # The second bash counts its own level.
    assert re.sub("SHLVL=.", "", compound.stdout) == re.sub("SHLVL=.", "", plain.stdout)


def test_a_tilde_that_a_command_begins_with_is_the_home_also_if_no_variable_names_it(
    node: Any, tmp_path: pathlib.Path
) -> None:
    """systemd-cron 1 replaces it itself, where an entry's command begins, and starts root's jobs without HOME."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    job = tmp_path / "job"
    job.write_text('#!/bin/sh\necho "$0" "${HOME-none}" "$@"\n')
    job.chmod(0o755)
    path = "../" * home.count("/") + str(job)[1:]
    environment = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/dash"}
    for words in (["-c", f"~/{path} a | cat"], [f"~/{path} a"]):
        out = node.run(*words, env=environment)
        assert (out.stdout, out.stderr) == (f"{home}/{path} none a\n", "")
    # With HOME it is the shell's; elsewhere it is what the shell makes of it, which is nothing.
    assert node.run("-c", f"~/{path} a", env={**environment, "HOME": "/."}).stdout.endswith("job /. a\n")
    assert node.run("-c", "echo ~/x; ~/x", env=environment).stdout == "~/x\n"


def test_c_hands_its_string_to_the_shell_that_cron_uses(node: Any) -> None:
    string = 'echo "$0" | cat; exit 4'
    out = node.run("-c", string, env={"PATH": "/usr/bin:/bin"})
    assert (out.stdout, out.returncode) == ("/bin/sh\n", 4)
    out = node.run("-c", string + "; : <<< x", env={"PATH": "/usr/bin:/bin", "SHELL": "/bin/bash"})
    assert (out.stdout, out.returncode) == ("/bin/bash\n", 4)
    assert node.run("-c", string, env={"PATH": "/usr/bin:/bin", "SHELL": ""}).stdout == "/bin/sh\n"


def test_one_word_that_holds_white_space_is_taken_as_c_takes_it(node: Any) -> None:
    assert node.run("echo a | tr a b").stdout == "b\n"
    assert node.run("echo\ta").stdout == "a\n"
    assert node.run("echo a", "b").returncode == 127


def test_rcron_inside_rcron_runs_the_job_once(node: Any) -> None:
    out = node.run(*node.command("sh", "-c", "echo once; exit 3"))
    assert (out.stdout, out.returncode) == ("once\n", 3)


def test_what_a_job_writes_does_not_pass_through_rcron(node: Any) -> None:
    """A gigabyte goes by while rcron reads and writes next to nothing."""
    process = node.start("sh", "-c", "head -c 1000000000 /dev/zero; sleep 1", stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    left = 1_000_000_000
    while left:
        left -= len(os.read(process.stdout.fileno(), 1 << 20))
    io = pathlib.Path(f"/proc/{process.pid}/io").read_text()
    assert int(re.search(r"rchar: (\d+)", io)[1]) < 10_000_000  # type: ignore[index]
    assert int(re.search(r"wchar: (\d+)", io)[1]) < 100_000  # type: ignore[index]
    process.communicate()


def test_the_log_has_start_end_and_duration(node: Any) -> None:
    node.run("sh", "-c", "sleep 1.1; exit 3")
    node.run("-c", "true\nfalse | true")
    assert 1 <= int(node.log()[1].partition(" dur=")[2].split()[0]) <= 10
    assert node.log_without_times() == [
        "9.6 cluster=c1 state=active status=start cmd=sh -c sleep 1.1; exit 3",
        "9.6 cluster=c1 state=active status=fail dur=N exit=3 cmd=sh -c sleep 1.1; exit 3",
        r"9.6 cluster=c1 state=active status=start cmd=true\nfalse | true",
        r"9.6 cluster=c1 state=active status=ok dur=N exit=0 cmd=true\nfalse | true",
    ]


def test_a_job_runs_without_a_syslog_socket(node: Any) -> None:
    """In a mount namespace with an empty /dev, the real syslog(3) finds no socket."""
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    new_mount_namespace = 0x20000  # CLONE_NEWNS
    libc = ctypes.CDLL(None, use_errno=True)

    def without_dev_log() -> None:
        if libc.unshare(new_mount_namespace) or libc.mount(b"none", b"/", None, 0x44000, None):
            os._exit(99)
        if libc.mount(b"none", b"/dev", b"tmpfs", 0, None):
            os._exit(99)

    real = node.rcron.read_text().replace("log._send = send", "")
    node.rcron.write_text(real)
    out = node.run("/bin/echo", "ran", preexec_fn=without_dev_log)
    assert (out.returncode, out.stdout, out.stderr) == (0, "ran\n", "")
    node.become("passive")
    assert node.run("/bin/echo", "ran", preexec_fn=without_dev_log).stdout == ""


@pytest.mark.unmeasured
@pytest.mark.parametrize("option", [[], ["-c"]])
def test_a_job_that_looks_for_its_own_command_line_does_not_find_rcrons(node: Any, option: "list[str]") -> None:
    """`pgrep -fc 'worker --queue'` above 1 means to many jobs that they are running already."""
    worker = node.folder / "worker"
    worker.write_text("#!/bin/sh\npgrep -fa 'worker --queu[e]'\n")
    worker.chmod(0o755)
    command = [f"{worker} --queue a; :"] if option else [str(worker), "--queue", "a"]
    out = node.run(*option, *command, env={"PATH": "/usr/bin:/bin"})
    # The shell of -c is there without rcron, too.
    assert [line.split()[1] for line in out.stdout.splitlines()] == ["/bin/sh"] * (2 if option else 1)


@pytest.mark.unmeasured
def test_rcrons_command_line_still_names_its_program_and_options(node: Any) -> None:
    out = node.run("sh", "-c", "cat /proc/$PPID/cmdline", "secret", text=False)
    words = [os.fsencode(word) for word in node.command()]
    assert out.stdout.rstrip(b"\0").split(b"\0")[-3:] == words
    assert node.run("sh", "-c", 'echo "$@"', "sh", "a", "b").stdout == "a b\n"


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("content", [b"\x7fELF\2\1\1\0\0", b"\0echo ran\n"], ids=["of another machine", "unknown"])
def test_a_binary_that_this_machine_cannot_run_is_not_read_as_a_script(node: Any, shell: str, content: bytes) -> None:
    binary = node.folder / "binary"
    binary.write_bytes(content + bytes(100))
    binary.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "SHELL": shell}
    plain = subprocess.run([shell, "-c", str(binary)], env=environment, capture_output=True, check=False)
    assert plain.returncode == 126
    out = node.run(str(binary), env=environment)
    assert (out.returncode, out.stdout, out.stderr) == (126, "", f"rcron: {binary}: Exec format error\n")


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_script_with_data_behind_its_first_line_is_a_script(node: Any, shell: str) -> None:
    script = node.folder / "script"
    script.write_bytes(b"echo ran; exit 3\n\0\x7fELF")
    script.chmod(0o755)
    out = node.run(str(script), env={"PATH": "/usr/bin:/bin", "SHELL": shell})
    assert (out.returncode, out.stdout) == (3, "ran\n")


def test_a_command_without_a_file_is_left_to_busybox_where_that_is_the_shell(node: Any) -> None:
    """A busybox that prefers its applets runs them without a file (FEATURE_SH_STANDALONE)."""
    busybox = node.folder / "busybox"
    # `"$0" "$@"` for a shell with an applet of the name `applet`; the real one is told in the same words.
    busybox.write_text(
        '#!/bin/bash\nfunction applet { printf "<%s>" "$@"; return 5; }\nexport -f applet\nexec bash "$@"\n'
    )
    busybox.chmod(0o755)
    shell = node.folder / "sh"
    shell.symlink_to("busybox")
    environment = {"PATH": "/usr/bin:/bin", "SHELL": str(shell)}
    out = node.run("applet", "a  b", "$HOME", env=environment)
    assert (out.returncode, out.stdout, out.stderr) == (5, "<a  b><$HOME>", "")
    assert node.run("no-such-applet", env=environment).returncode == 127
    assert node.run("/no/such/applet", env=environment).stderr == "rcron: /no/such/applet: not found\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RCRON_TERM=12\n", b"12"),
        ("RCRON_TERM=7", b"7"),
        ("", None),
        ("12\n", None),
        ("RCRON_TERM=-3\n", None),
        ("RCRON_TERM=\n", None),
        ("LD_PRELOAD=1\n", None),
        ("RCRON_TERM=1 2\n", None),
        (None, None),
    ],
)
def test_a_job_gets_the_term_of_the_lease(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: "str | None", expected: "bytes | None"
) -> None:
    monkeypatch.setattr(settings, "RUNTIME", str(tmp_path))
    config = settings.parse(f"state_file = {tmp_path}/state\n", "rcron.conf")
    if text is not None:
        pathlib.Path(config.agent_file("term")).write_text(text)
    given: "dict[bytes, bytes]" = {}
    monkeypatch.setattr(running, "posix", types.SimpleNamespace(**{**vars(running.posix), "putenv": given.__setitem__}))
    running._add_term(config)
    assert given == ({} if expected is None else {b"RCRON_TERM": expected})
