# The public headers: those of include/rapt/, and whatever they include.
#   cmake -P cmake/public_headers.cmake                        prints their list
#   cmake -DDESTINATION=FOLDER -P cmake/public_headers.cmake   writes them to FOLDER as they are installed
# -DWITHOUT=tasks leaves out include/rapt/tasks.hpp, and what only that includes.
# In the tree an include names its file from the top: "framework/graph/var.hpp". Installed, it is
# <rapt/framework/graph/var.hpp>, so that no other folder of a user's include path can be meant.
# Every installed header first includes api.hpp, which says so if the language is older than C++20.
cmake_minimum_required(VERSION 3.22)
get_filename_component(tree ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)

file(GLOB queue RELATIVE ${tree} ${tree}/include/rapt/*.hpp)
if(WITHOUT)
  list(REMOVE_ITEM queue include/rapt/${WITHOUT}.hpp)
endif()
include(${tree}/cmake/included_files.cmake)
rapt_included_files(found ${tree} ${queue})

if(NOT DESTINATION)
  list(JOIN found "\n" text)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${text})
  return()
endif()
file(REMOVE_RECURSE "${DESTINATION}")
foreach(name ${found})
  file(READ "${tree}/${name}" text)
  string(REGEX REPLACE "#include \"([^\"]+)\"" "#include <rapt/\\1>" text "${text}")
  if(NOT name STREQUAL "framework/core/api.hpp")
    string(REPLACE "#pragma once\n" "#pragma once\n#include <rapt/framework/core/api.hpp>\n" text "${text}")
    if(NOT text MATCHES "#pragma once\n#include <rapt/framework/core/api.hpp>\n")
      message(FATAL_ERROR "${name} has no #pragma once")
    endif()
  endif()
  string(REGEX REPLACE "^include/rapt/" "" installed ${name})
  file(WRITE "${DESTINATION}/${installed}" "${text}")
endforeach()
