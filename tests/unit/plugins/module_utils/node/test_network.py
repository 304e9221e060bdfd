# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A node's own addresses, from what the kernel lists."""

from __future__ import annotations

from ansible_collections.rcron.cluster.plugins.module_utils.node import network

TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 10.89.2.0
        /24 link UNICAST
     |-- 10.89.2.11
        /32 host LOCAL
     |-- 10.89.2.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""


def test_addresses_are_those_that_the_kernel_calls_local(tmp_path):
    (tmp_path / "fib_trie").write_text(TRIE)
    (tmp_path / "if_inet6").write_text(
        "20010db8000000000000000000000007 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    assert network.own_addresses(str(tmp_path)) == ["10.89.2.11", "2001:db8::7"]


def test_a_kernel_that_lists_nothing_has_none(tmp_path):
    assert network.own_addresses(str(tmp_path)) == []
