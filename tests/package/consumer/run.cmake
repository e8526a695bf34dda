# Installs the build to a folder of its own and builds projects against it: the consumer here, the
# one of rapt::tasks beside it, and the programs that the README shows.
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

# The component tasks: a program in a few lines translates with a model that was trained before.
set(definitions "")
if(EXISTS ${BUILD}/bin/translate)
  foreach(a 1 2 3 4)
    foreach(b 1 2 3 4)
      file(APPEND ${WORK}/train.x "a${a} a${b} a${a}\n")
      file(APPEND ${WORK}/train.y "b${a} b${b} b${a}\n")
    endforeach()
  endforeach()
  run(${BUILD}/bin/translate train --source ${WORK}/train.x --target ${WORK}/train.y
      --dev-source ${WORK}/train.x --dev-target ${WORK}/train.y --model ${WORK}/model --embed 16
      --hidden 32 --readout 16 --dropout 0 --label-smoothing 0 --lr 0.01 --warmup 10 --batch 16
      --epochs 100 --threads 2)
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/package/consumer_tasks -B ${WORK}/build_tasks
      -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_PREFIX_PATH=${WORK}/installed ${flags})
  run(${CMAKE_COMMAND} --build ${WORK}/build_tasks)
  execute_process(COMMAND ${WORK}/build_tasks/consumer ${WORK}/model "a3 a1 a3"
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT text STREQUAL "b3 b1 b3\n")
    message(FATAL_ERROR "the consumer of rapt::tasks says: ${text}")
  endif()
  execute_process(COMMAND ${WORK}/build_tasks/consumer ${WORK}/none OUTPUT_VARIABLE text
                  ERROR_VARIABLE text RESULT_VARIABLE result)
  if(NOT result EQUAL 1 OR NOT text MATCHES "none/model.safetensors")
    message(FATAL_ERROR "the consumer of rapt::tasks says of a missing folder: ${text}")
  endif()
  # The programs are installed too, and run from there.
  foreach(program translate speech captions char_gpt dates)
    if(EXISTS ${BUILD}/bin/${program})
      run(${WORK}/installed/bin/${program} --version)
    endif()
  endforeach()
  # A component that there is not is refused.
  file(WRITE ${WORK}/other/CMakeLists.txt "cmake_minimum_required(VERSION 3.22)
project(other LANGUAGES CXX)
find_package(rapt REQUIRED COMPONENTS nothing)
")
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${WORK}/other -B ${WORK}/other/build
                          -DCMAKE_PREFIX_PATH=${WORK}/installed RESULT_VARIABLE result
                  OUTPUT_QUIET ERROR_VARIABLE text)
  if(result EQUAL 0 OR NOT text MATCHES "the component .nothing.")
    message(FATAL_ERROR "a component that there is not was found: ${text}")
  endif()
  set(definitions -DRAPT_TASKS_SPEECH=1 -DRAPT_TASKS_CAPTIONS=1)
else()
  message(STATUS "consumer: without the component tasks, which was not built")
endif()

# Every public header compiles alone. (xtensor.hpp is for those who have xtensor.)
file(GLOB_RECURSE headers RELATIVE ${WORK}/installed/include ${WORK}/installed/include/*.hpp)
list(LENGTH headers count)
if(count LESS 60)
  message(FATAL_ERROR "only ${count} headers are installed")
endif()
foreach(header ${headers})
  file(WRITE ${WORK}/alone.cpp "#include <${header}>\n")
  run(${CXX} -std=c++20 -fsyntax-only ${definitions} -Wall -Wextra -Werror -I ${WORK}/installed/include
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
