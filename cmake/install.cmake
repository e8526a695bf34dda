# What `cmake --install` writes: the library, its headers under include/rapt/, a package that
# find_package(rapt) finds, and rapt.pc. The component `tasks` is there if it was built. There are
# three components: `library` is what programs need to run, `development` what they are built with,
# and `tools` are the programs of examples/ (examples/CMakeLists.txt).
install(TARGETS rapt EXPORT raptTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
                NAMELINK_COMPONENT development)
set(public_headers_of "")
if(NOT TARGET rapt_tasks)
  set(public_headers_of -DWITHOUT=tasks)
endif()
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" \"-DDESTINATION=${PROJECT_BINARY_DIR}/public\"
                ${public_headers_of} -P \"${PROJECT_SOURCE_DIR}/cmake/public_headers.cmake\" COMMAND_ERROR_IS_FATAL ANY)"
        COMPONENT development)
install(DIRECTORY "${PROJECT_BINARY_DIR}/public/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rapt
        COMPONENT development)

# CMake's package.
set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/rapt)
install(EXPORT raptTargets NAMESPACE rapt:: FILE raptTargets.cmake DESTINATION ${cmake_folder}
        COMPONENT development)
if(TARGET rapt_tasks)
  install(TARGETS rapt_text rapt_tasks EXPORT raptTasksTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT raptTasksTargets NAMESPACE rapt:: FILE raptTasksTargets.cmake
          DESTINATION ${cmake_folder} COMPONENT development)
endif()
set(rapt_static TRUE)
if(BUILD_SHARED_LIBS)
  set(rapt_static FALSE)
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/raptConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/raptConfig.cmake
                              INSTALL_DESTINATION ${cmake_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/raptConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/raptConfig.cmake ${PROJECT_BINARY_DIR}/raptConfigVersion.cmake
        DESTINATION ${cmake_folder} COMPONENT development)

# pkg-config's. A static library needs what it uses, whoever links it. The prefix follows from where
# the file lies, so an installed tree can be moved.
file(RELATIVE_PATH to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(pc_static "-ltbb -lfmt -pthread")
set(pc_private "")
if(BUILD_SHARED_LIBS)
  set(pc_private ${pc_static})
  set(pc_static "")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/rapt.pc.in ${PROJECT_BINARY_DIR}/rapt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/rapt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
