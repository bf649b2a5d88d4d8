# Tests of the host library and the bus; included by common/CMakeLists.txt.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
foreach(noun config log metrics loop bus service)
  scrip_unit_test(${noun}_test ${unit}/${noun}_test.c LIBS scrip_host PkgConfig::libzmq
                  Threads::Threads)
endforeach()
scrip_unit_test(pg_test ${unit}/pg_test.c LIBS scrip_host LABELS postgres)
