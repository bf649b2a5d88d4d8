# Tests of scripctl: its parts by themselves. Stories are in tests/e2e.
scrip_unit_test(ctl_segment_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_segment_test.c
  LIBS scripctl_parts)

# The real cores make the journals of these.
set(ctl_journal ${CMAKE_SOURCE_DIR}/tests/unit/ctl_journal.c
  ${CMAKE_SOURCE_DIR}/tests/unit/cores.c ${CMAKE_SOURCE_DIR}/tests/unit/random_orders.c)
scrip_unit_test(ctl_twin_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_twin_test.c ${ctl_journal}
  LIBS scripctl_parts matcher_core)
scrip_unit_test(ctl_backtest_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_backtest_test.c
  LIBS scripctl_parts)
scrip_unit_test(ctl_command_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_command_test.c
  LIBS scripctl_parts)
scrip_unit_test(ctl_out_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_out_test.c LIBS scripctl_parts)
scrip_unit_test(ctl_life_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_life_test.c ${ctl_journal}
  LIBS scripctl_parts matcher_core PkgConfig::json_c)
