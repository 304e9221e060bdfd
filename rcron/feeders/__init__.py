# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""One module per feeder: its daemon's events in, a state (or nothing) out."""
