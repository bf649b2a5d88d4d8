# Tests of the host library and the bus; included by common/CMakeLists.txt.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
foreach(noun anchor config log metrics loop bus bus_peers service pages)
  scrip_unit_test(${noun}_test ${unit}/${noun}_test.c LIBS scrip_host PkgConfig::libzmq
                  Threads::Threads)
endforeach()
target_link_libraries(bus_test PRIVATE scrip_random_msg)
scrip_unit_test(pg_test ${unit}/pg_test.c ${unit}/pg_main.c LIBS scrip_host LABELS postgres)

foreach(noun fetch ws_client)
  scrip_unit_test(${noun}_test ${unit}/${noun}_test.c ${unit}/net_stage.c LIBS scrip_net)
  target_compile_definitions(${noun}_test PRIVATE SCRIP_NET_SERVER="${unit}/net_server.py")
endforeach()

foreach(noun redis_link budget budget_limits)
  scrip_unit_test(${noun}_test ${unit}/${noun}_test.c ${unit}/net_stage.c ${unit}/redis_main.c
    LIBS scrip_net PkgConfig::hiredis LABELS redis)
  set_tests_properties(${noun}_test PROPERTIES RUN_SERIAL ON)
  target_compile_definitions(${noun}_test PRIVATE SCRIP_NET_SERVER="${unit}/net_server.py")
endforeach()

# The bus next to bare libzmq; see docs/decisions/0003-loop-and-bus.md.
add_executable(bus_bench EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/bus_bench.c)
target_link_libraries(bus_bench PRIVATE scrip_host PkgConfig::libzmq)
