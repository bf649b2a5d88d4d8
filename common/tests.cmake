# Unit tests of common/: one Criterion program per noun, sources in tests/unit/.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)

# Seeded random messages, for the property tests here and the seeds of tests/fuzz.
add_library(scrip_random_msg STATIC ${unit}/random_msg.c)
target_include_directories(scrip_random_msg PUBLIC ${unit})
target_link_libraries(scrip_random_msg PUBLIC scrip_base)

scrip_unit_test(base_test ${unit}/base_test.c LIBS scrip_base)
scrip_unit_test(allowance_sim_test ${unit}/allowance_sim_test.c ${unit}/allowance_redis.c
  LIBS scrip_base)
scrip_unit_test(money_test ${unit}/money_test.c LIBS scrip_random_msg)
scrip_unit_test(map_test ${unit}/map_test.c LIBS scrip_random_msg)
scrip_unit_test(msg_test ${unit}/msg_test.c LIBS scrip_base)
scrip_unit_test(codec_test ${unit}/codec_test.c LIBS scrip_wire scrip_random_msg ${MSGPACK_LIBRARY})
scrip_unit_test(text_test ${unit}/text_test.c LIBS scrip_wire scrip_random_msg)
scrip_unit_test(json_test ${unit}/json_test.c LIBS scrip_wire scrip_random_msg PkgConfig::json_c)

# What a message costs; `ninja codec_bench` in a release build.
add_executable(codec_bench EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/codec_bench.c)
target_link_libraries(codec_bench PRIVATE scrip_wire)
