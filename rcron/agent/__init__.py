# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron-agent: asks each cluster's daemon what this node is, and keeps the state file at that.

A state is asked for, not remembered. An event that got lost is made good by the next question, an `active` lasts as
long as the daemon confirms it, and a daemon that merely exists confirms nothing.
"""
