# Exchange keys and bindings, in the bridge's own schema; secrets sealed by master keys.
add_library(bridge_keys STATIC shell/vault.c shell/keys.c shell/keys_table.c shell/keys_change.c
            shell/keys_rotate.c)
target_link_libraries(bridge_keys PUBLIC bridge_core scrip_host PRIVATE PkgConfig::libcrypto)
scrip_unit_test(bridge_vault_test ${CMAKE_SOURCE_DIR}/tests/unit/bridge_vault_test.c
                LIBS bridge_keys)
foreach(name bridge_keys_test bridge_keys_life_test bridge_rights_test)
  scrip_unit_test(${name} ${CMAKE_SOURCE_DIR}/tests/unit/${name}.c
                  ${CMAKE_SOURCE_DIR}/tests/unit/bridge_keys_stage.c
                  ${CMAKE_SOURCE_DIR}/tests/unit/store_database.c
                  ${CMAKE_SOURCE_DIR}/tests/unit/pg_main.c LIBS bridge_keys LABELS postgres)
  target_compile_definitions(${name} PRIVATE SCRIP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()
