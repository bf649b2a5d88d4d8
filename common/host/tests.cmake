# Tests of the host library and the bus; included by common/tests.cmake.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
foreach(noun loop bus)
  scrip_unit_test(${noun}_test ${unit}/${noun}_test.c LIBS scrip_host PkgConfig::libzmq
                  Threads::Threads)
endforeach()
scrip_unit_test(pg_test ${unit}/pg_test.c LIBS scrip_host LABELS postgres)
