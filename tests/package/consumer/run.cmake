# Installs the build to a folder of its own and builds two projects against it: the consumer here,
# and the programs that the README shows.
cmake_minimum_required(VERSION 3.22)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGV}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
set(flags "")
if(FLAGS)
  set(flags "-DCMAKE_CXX_FLAGS=-fsanitize=${FLAGS}")
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/package/consumer -B ${WORK}/build -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${WORK}/installed ${flags})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)

# Every public header compiles alone. (xtensor.hpp is for those who have xtensor.)
file(GLOB_RECURSE headers RELATIVE ${WORK}/installed/include ${WORK}/installed/include/*.hpp)
list(LENGTH headers count)
if(count LESS 60)
  message(FATAL_ERROR "only ${count} headers are installed")
endif()
foreach(header ${headers})
  file(WRITE ${WORK}/alone.cpp "#include <${header}>\n")
  run(${CXX} -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I ${WORK}/installed/include
      ${WORK}/alone.cpp)
endforeach()

# Every C++ block of the README that is a whole program, built as a user would.
file(READ ${SOURCE}/README.md readme)
string(REGEX REPLACE ";" "<semicolon>" readme "${readme}")
string(REGEX MATCHALL "```cpp\n[^`]*```" blocks "${readme}")
set(count 0)
foreach(block ${blocks})
  string(REGEX REPLACE "^```cpp\n" "" block "${block}")
  string(REGEX REPLACE "```$" "" block "${block}")
  string(REGEX REPLACE "<semicolon>" ";" block "${block}")
  if(NOT block MATCHES "int main")
    continue()
  endif()
  math(EXPR count "${count} + 1")
  file(WRITE ${WORK}/readme_${count}/main.cpp "${block}")
  file(COPY ${SOURCE}/tests/package/consumer/CMakeLists.txt DESTINATION ${WORK}/readme_${count})
  run(${CMAKE_COMMAND} -S ${WORK}/readme_${count} -B ${WORK}/readme_${count}/build
      -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_PREFIX_PATH=${WORK}/installed ${flags})
  run(${CMAKE_COMMAND} --build ${WORK}/readme_${count}/build)
  run(${CMAKE_COMMAND} -E chdir ${WORK}/readme_${count} build/consumer)
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "the README shows no whole program")
endif()
message(STATUS "consumer: the installed package works, ${count} programs of the README run")
