# What is done with an account at the exchange: orders, balances, rules, syncs, keys; and the door.
add_library(bridge_flows STATIC shell/asks.c shell/key_asks.c shell/key_proof.c shell/ledger_link.c
            shell/orders.c shell/pending.c shell/refresh.c shell/rules.c shell/schedule.c
            shell/serve.c shell/shell.c shell/streams.c shell/sync.c)
target_link_libraries(bridge_flows PUBLIC bridge_caller bridge_keys scrip_market
  PRIVATE PkgConfig::libcrypto)

foreach(noun flow follow)
  scrip_unit_test(bridge_${noun}_test ${CMAKE_SOURCE_DIR}/tests/unit/bridge_${noun}_test.c
                  LIBS bridge_core)
endforeach()
foreach(noun asks link serve)
  scrip_unit_test(bridge_${noun}_test ${CMAKE_SOURCE_DIR}/tests/unit/bridge_${noun}_test.c
                  LIBS bridge_flows)
endforeach()
target_link_options(bridge_asks_test PRIVATE -Wl,--wrap=loop_steady_us)
# The real orders.c and streams.c between stood-in neighbours: those are linked in their place.
set(stage_wraps -Wl,--wrap=loop_steady_us,--wrap=loop_now_us,--wrap=loop_timer_new)
foreach(noun events orders reports streams)
  scrip_unit_test(bridge_${noun}_test ${CMAKE_SOURCE_DIR}/tests/unit/bridge_${noun}_test.c
                  ${CMAKE_SOURCE_DIR}/tests/unit/bridge_shell_stage.c LIBS bridge_flows)
  target_link_options(bridge_${noun}_test PRIVATE ${stage_wraps})
endforeach()
