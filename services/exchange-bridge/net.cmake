# Signatures; what is asked of exchanges, within their limits.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
add_library(bridge_sign STATIC shell/sign.c)
target_link_libraries(bridge_sign PUBLIC scrip_base PRIVATE PkgConfig::libcrypto)
# Whoever links it brings keys.h: the bridge its store, tests and measurements one of their own.
add_library(bridge_caller STATIC shell/caller.c shell/caller_answer.c shell/caller_host.c
            shell/caller_send.c)
target_link_libraries(bridge_caller PUBLIC bridge_core bridge_sign scrip_net
                      PRIVATE PkgConfig::libcrypto)

scrip_unit_test(bridge_sign_test ${unit}/bridge_sign_test.c LIBS bridge_sign PkgConfig::libcrypto)
scrip_unit_test(bridge_health_test ${unit}/bridge_health_test.c LIBS bridge_core)
scrip_unit_test(bridge_caller_test ${unit}/bridge_caller_test.c
                ${unit}/bridge_caller_stage.c ${unit}/net_stage.c ${unit}/redis_main.c
                LIBS bridge_caller PkgConfig::hiredis PkgConfig::libcrypto LABELS redis)
target_compile_definitions(bridge_caller_test
                           PRIVATE SCRIP_NET_SERVER="${unit}/exchange_server.py")
set_tests_properties(bridge_caller_test PROPERTIES RUN_SERIAL ON)
