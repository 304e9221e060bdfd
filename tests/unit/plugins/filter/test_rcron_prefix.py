# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The filter rcron_prefix, called and in a template."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_prefix import FilterModule
from ansible_collections.rcron.cluster.plugins.module_utils import crontab

rcron_prefix = FilterModule().filters()["rcron_prefix"]


def test_it_rewrites_commands_as_the_module_does():
    for command in ("job a b", "cd /app && ./run", "mail root%hello", "rcron -c 'a | b'"):
        assert rcron_prefix(command) == crontab.prefix(command.encode()).decode()
        assert rcron_prefix(rcron_prefix(command)) == rcron_prefix(command)


def test_path_and_configuration_can_be_named():
    assert rcron_prefix("a | b", "/opt/rcron", "/etc/b.conf") == "/opt/rcron --conf /etc/b.conf -c 'a | b'"
    assert rcron_prefix("job", conf="/etc/b.conf") == "/usr/bin/rcron --conf /etc/b.conf job"


def test_a_claim_and_its_jobs_name_can_be_given():
    assert rcron_prefix("job", job_name="a b", claim="required") == ("/usr/bin/rcron --job 'a b' --claim required job")
    with pytest.raises(AnsibleFilterError, match="claim is True; it must be a string"):
        rcron_prefix("job", claim=True)
    with pytest.raises(AnsibleFilterError, match="claim is 'yes'; it can be off"):
        rcron_prefix("job", claim="yes")


def test_a_wait_for_a_takeover_can_be_given():
    assert rcron_prefix("job", takeover_wait=30) == "/usr/bin/rcron --takeover-wait 30 job"


def test_text_that_is_not_ascii_stays_as_it_is():
    assert rcron_prefix("job 'café' > \udce9") == "/usr/bin/rcron -c 'job '\\''café'\\'' > \udce9'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "the command is empty; pass the command that cron should run"),
        ([" \t"], "the command is empty"),
        (["a\nb"], r"'a\\nb' holds a newline; a crontab entry is one line"),
        (["a\0b"], "holds a NUL byte"),
        (["job", "/usr/bin/rcron", None, "30"], "takeover_wait is '30'; it must be a number"),
        (["job", "/usr/bin/rcron", None, -1], "takeover_wait is -1; it must be a whole number of seconds"),
        ([None], "the command is None; it must be a string: put it in quotes"),
        ([["a", "b"]], "the command is .*; it must be a string"),
        (["job", "rcron"], "rcron_path is 'rcron'; it must be an absolute path"),
        (["job", None], "rcron_path is None; it must be a string"),
        (["job", "/usr/bin/rcron", "b.conf"], "conf is 'b.conf'; it must be an absolute path"),
        (["job", "/usr/bin/rcron", 3], "conf is 3; it must be a string"),
    ],
)
def test_an_invalid_command_or_path_is_refused(arguments, message):
    with pytest.raises(AnsibleFilterError, match="rcron_prefix: .*" + message):
        rcron_prefix(*arguments)


def test_a_playbook_can_use_it_and_gets_its_errors(play):
    def say(text: str) -> dict:
        return {"ansible.builtin.debug": {"msg": text}}

    good, bad = play(
        [
            say("{{ 'cd /app && ./run' | rcron.cluster.rcron_prefix(conf='/etc/b.conf') }}"),
            say("{{ '' | rcron.cluster.rcron_prefix }}"),
        ]
    )
    assert good["msg"] == "/usr/bin/rcron --conf /etc/b.conf -c 'cd /app && ./run'"
    assert bad["failed"]
    assert "rcron_prefix: the command is empty; pass the command" in bad["msg"]
