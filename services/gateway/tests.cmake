# Unit tests of the gateway; gw_http_test runs the real program with a real PostgreSQL.
set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
scrip_unit_test(gw_core_test ${unit}/gw_core_test.c LIBS gateway_core)
scrip_unit_test(gw_random_test ${unit}/gw_random_test.c LIBS gateway_core)
scrip_unit_test(gw_fanout_test ${unit}/gw_fanout_test.c LIBS gateway_core)
scrip_unit_test(gw_http1_test ${unit}/gw_http1_test.c LIBS gateway_core)
scrip_unit_test(gw_token_test ${unit}/gw_token_test.c LIBS gateway_shell PkgConfig::libjwt)
scrip_unit_test(gw_child_test ${unit}/gw_child_test.c LIBS gateway_shell)
scrip_unit_test(gw_openapi_test ${unit}/gw_openapi_test.c LIBS gateway_shell PkgConfig::json_c)
scrip_unit_test(gw_http_test ${unit}/gw_http_test.c ${unit}/gw_stream_test.c ${unit}/gw_basket_test.c
                ${unit}/gw_market_test.c ${unit}/gw_keys_test.c
                ${unit}/gw_market.c ${unit}/gw_client.c ${unit}/gw_stage.c
                LIBS scrip_host PkgConfig::libpq LABELS postgres)
target_compile_definitions(gw_http_test PRIVATE
  GATEWAY_PROGRAM="$<TARGET_FILE:scrip-gateway>" SCRIP_SOURCE="${CMAKE_SOURCE_DIR}")
add_dependencies(gw_http_test scrip-gateway)
