# SPDX-License-Identifier: GPL-2.0-only
"""The parts of machines/run and of the test runner."""
