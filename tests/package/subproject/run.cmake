cmake_minimum_required(VERSION 3.22)
# Configures a project that adds rapt as a subdirectory: with the library alone, without xtensor, and
# without rapt in what the project installs. Run by ctest with -DSOURCE=<the source tree>
# -DWORK=<a folder> -DCXX=<compiler>.
file(REMOVE_RECURSE ${WORK})
foreach(install OFF ON)
  set(option "")
  if(install)
    set(option -DRAPT_INSTALL=ON)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/${install}
                          -DRAPT=${SOURCE} -DCMAKE_CXX_COMPILER=${CXX} ${option}
                          -DCMAKE_DISABLE_FIND_PACKAGE_xtensor=ON
                  RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed to configure, RAPT_INSTALL=${install}:\n${text}")
  endif()
  file(READ ${WORK}/${install}/rapt/cmake_install.cmake rules)
  set(installs OFF)
  if(rules MATCHES "file\\(INSTALL")
    set(installs ON)
  endif()
  if(NOT installs STREQUAL install)
    message(FATAL_ERROR "RAPT_INSTALL=${install}, but whether rapt is installed is ${installs}")
  endif()
  if(EXISTS ${WORK}/${install}/CPackConfig.cmake)
    message(FATAL_ERROR "rapt sets up the packages of another project")
  endif()
endforeach()
