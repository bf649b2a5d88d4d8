"""sources_test - the recorded market and the flood.

SPDX-License-Identifier: Apache-2.0
"""
TESTS = []
