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
scrip_unit_test(ctl_chain_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_chain_test.c
  LIBS scripctl_parts)
scrip_unit_test(ctl_command_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_command_test.c
  LIBS scripctl_parts)
scrip_unit_test(ctl_out_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_out_test.c
  LIBS scripctl_parts scrip_random_msg PkgConfig::json_c)
scrip_unit_test(ctl_life_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_life_test.c ${ctl_journal}
  LIBS scripctl_parts matcher_core PkgConfig::json_c)
scrip_unit_test(ctl_insider_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_insider_test.c ${ctl_journal}
  LIBS scripctl_parts matcher_core)
scrip_unit_test(ctl_real_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_real_test.c
  ${CMAKE_SOURCE_DIR}/tests/unit/ctl_real.c ${ctl_journal}
  LIBS scripctl_parts matcher_core)
scrip_unit_test(ctl_evidence_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_evidence_test.c
  LIBS scripctl_parts)
# On a real PostgreSQL; a ledger in the test's own process writes the tables.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
scrip_unit_test(ctl_tables_test ${unit}/ctl_tables_test.c ${unit}/ctl_real.c ${ctl_journal}
  ${unit}/store_database.c
  ${unit}/store_life.c ${unit}/pg_main.c LIBS scripctl_parts matcher_core)
# The matcher's core has a life_end() of its own.
target_compile_definitions(ctl_tables_test PRIVATE SCRIP_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
  life_end=store_life_end)
scrip_unit_test(ctl_plan_test ${CMAKE_SOURCE_DIR}/tests/unit/ctl_plan_test.c
  ${CMAKE_SOURCE_DIR}/tests/unit/ctl_real.c ${ctl_journal}
  LIBS scripctl_parts matcher_core)
scrip_unit_test(ctl_records_test ${unit}/ctl_records_test.c ${unit}/store_database.c
  ${unit}/pg_main.c LIBS scripctl_parts)
target_compile_definitions(ctl_records_test PRIVATE SCRIP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
