# Unit tests of bridge_core: one Criterion program per noun.
foreach(noun account call fit guard reply stream verdict)
  scrip_unit_test(bridge_${noun}_test ${CMAKE_SOURCE_DIR}/tests/unit/bridge_${noun}_test.c
    LIBS bridge_core scrip_random_msg)
endforeach()
