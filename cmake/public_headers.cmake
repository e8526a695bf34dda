# The public headers: those of include/rapt/, and whatever they include.
#   cmake -P cmake/public_headers.cmake                        prints their list
#   cmake -DDESTINATION=FOLDER -P cmake/public_headers.cmake   writes them to FOLDER as they are installed
# -DWITHOUT=tasks leaves out include/rapt/tasks.hpp, and what only that includes.
# In the tree an include names its file from the top: "framework/graph/var.hpp". Installed, it is
# <rapt/framework/graph/var.hpp>, so that no other folder of a user's include path can be meant.
cmake_minimum_required(VERSION 3.22)
get_filename_component(tree ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)

file(GLOB queue RELATIVE ${tree} ${tree}/include/rapt/*.hpp)
if(WITHOUT)
  list(REMOVE_ITEM queue include/rapt/${WITHOUT}.hpp)
endif()
set(found "")
while(queue)
  list(POP_FRONT queue name)
  if(name IN_LIST found)
    continue()
  endif()
  list(APPEND found ${name})
  file(STRINGS "${tree}/${name}" includes REGEX "^#include (\"|<rapt/)")
  foreach(include ${includes})
    if(include MATCHES "\"(.*)\"")
      list(APPEND queue ${CMAKE_MATCH_1})
    elseif(include MATCHES "<(rapt/.*)>")
      list(APPEND queue include/${CMAKE_MATCH_1})
    endif()
  endforeach()
endwhile()
list(SORT found)

if(NOT DESTINATION)
  list(JOIN found "\n" text)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${text})
  return()
endif()
file(REMOVE_RECURSE "${DESTINATION}")
foreach(name ${found})
  file(READ "${tree}/${name}" text)
  string(REGEX REPLACE "#include \"([^\"]+)\"" "#include <rapt/\\1>" text "${text}")
  string(REGEX REPLACE "^include/rapt/" "" installed ${name})
  file(WRITE "${DESTINATION}/${installed}" "${text}")
endforeach()
