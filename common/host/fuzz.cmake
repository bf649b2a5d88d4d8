# Read by tests/fuzz/CMakeLists.txt.
scrip_fuzz_target(anchor_fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz/anchor_fuzz.c LIBS scrip_host)
