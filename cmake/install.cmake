# What `cmake --install` writes: the library, its headers under include/rapt/, and a package that
# find_package(rapt) finds. The component `tasks` is there if it was built.
install(TARGETS rapt EXPORT raptTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
set(public_headers_of "")
if(NOT TARGET rapt_tasks)
  set(public_headers_of -DWITHOUT=tasks)
endif()
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" \"-DDESTINATION=${PROJECT_BINARY_DIR}/public\"
                ${public_headers_of} -P \"${PROJECT_SOURCE_DIR}/cmake/public_headers.cmake\" COMMAND_ERROR_IS_FATAL ANY)")
install(DIRECTORY "${PROJECT_BINARY_DIR}/public/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rapt)
install(EXPORT raptTargets NAMESPACE rapt:: FILE raptTargets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rapt)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/raptConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/raptConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rapt)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/raptConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/raptConfig.cmake ${PROJECT_BINARY_DIR}/raptConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rapt)
