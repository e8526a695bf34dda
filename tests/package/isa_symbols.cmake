cmake_minimum_required(VERSION 3.22)
# A kernel object built for AVX2 or AVX-512 may define nothing that another part of the program
# could be linked to: every symbol it defines must be its own set's. Run by ctest with -DOBJECTS=
# the objects (separated by commas), -DISA=<the set's namespace>, -DNM=<nm>.
string(REPLACE "," ";" objects "${OBJECTS}")
set(failures "")
foreach(object ${objects})
  execute_process(COMMAND ${NM} -C --defined-only --extern-only ${object} OUTPUT_VARIABLE text
                  RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${NM} ${object} failed")
  endif()
  string(REGEX REPLACE ";" " " text "${text}")
  string(REGEX REPLACE "\n" ";" lines "${text}")
  foreach(line ${lines})
    # Weak functions of xsimd carry the architecture as a template argument, which has to be one
    # that no other set's sources use.
    if(line MATCHES " [A-Z] " OR line MATCHES " [uvw] ")
      if((NOT line MATCHES "kernels::${ISA}::" AND NOT line MATCHES "xsimd::(avx|fma3|batch<)" AND
          NOT line MATCHES "DW.ref.__gxx_personality") OR line MATCHES "xsimd::sse" OR
         (ISA STREQUAL "avx512" AND line MATCHES "xsimd::fma3"))
        list(APPEND failures "${object}: ${line}")
      endif()
    endif()
  endforeach()
endforeach()
if(failures)
  list(JOIN failures "\n" text)
  message(FATAL_ERROR "symbols that other code could be linked to:\n${text}")
endif()
