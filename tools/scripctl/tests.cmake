# Tests of scripctl: its parts by themselves. Stories are in tests/e2e.
scrip_unit_test(ctl_segment_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_segment_test.c
  LIBS scripctl_parts)
