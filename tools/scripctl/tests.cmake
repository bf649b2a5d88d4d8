# Tests of scripctl: its parts by themselves. Stories are in tests/e2e.
