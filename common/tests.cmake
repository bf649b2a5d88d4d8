# Unit tests of base, wire and host.
include(${CMAKE_CURRENT_LIST_DIR}/host/tests.cmake OPTIONAL)
