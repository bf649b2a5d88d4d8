# The live source's tests.
foreach(noun live_sim live_rules)
  if(noun STREQUAL live_sim)
    set(more ${CMAKE_SOURCE_DIR}/tests/unit/md_live_model.c
      ${CMAKE_SOURCE_DIR}/tests/unit/md_live_model_net.c)
  else()
    set(more "")
  endif()
  scrip_unit_test(md_${noun}_test ${CMAKE_SOURCE_DIR}/tests/unit/md_${noun}_test.c ${more}
    LIBS marketdata_core)
  target_include_directories(md_${noun}_test PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
endforeach()
