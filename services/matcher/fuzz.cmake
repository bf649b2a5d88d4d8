# Read by tests/fuzz/CMakeLists.txt.
scrip_fuzz_target(match_fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz/match_fuzz.c LIBS matcher_judge)
