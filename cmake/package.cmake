# Debian packages, made by cpack: librapt-dev, rapt-tools, and librapt0.1 if the library is shared.
#   cmake --preset package && cmake --build --preset package && cd build-package && cpack
# The components are those of install.cmake. A project that has rapt as a part packs itself.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
set(RAPT_MAINTAINER "The rapt authors <rapt@example.org>" CACHE STRING
    "Name and address of who answers for the packages")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME rapt)
set(CPACK_PACKAGE_CONTACT "${RAPT_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(version_of_package "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(about "rapt records operators on a tape, differentiates them, and plans forward pass,
backward pass and update as one graph. It trains sequence models on the CPU.
")

# The changelog and the licence that every package holds.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(changelog ${PROJECT_BINARY_DIR}/package/changelog.Debian)
file(WRITE ${changelog} "rapt (${version_of_package}) unstable; urgency=medium

  * Made by cpack from the sources of rapt ${PROJECT_VERSION}.

 -- ${RAPT_MAINTAINER}  ${date}
")
file(READ LICENSE licence)
string(REGEX REPLACE "^MIT License\n+" "" licence "${licence}")
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)" unused "${licence}")
set(copyright "${CMAKE_MATCH_1}")
string(REGEX REPLACE "^Copyright [^\n]*\n+" "" licence "${licence}")
string(REGEX REPLACE "\n+$" "" licence "${licence}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
file(WRITE ${PROJECT_BINARY_DIR}/package/copyright
     "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: rapt

Files: *
Copyright: ${copyright}
License: Expat
 ${licence}
")
find_program(gzip gzip)
set(documents ${PROJECT_BINARY_DIR}/package/copyright)
if(gzip)
  execute_process(COMMAND ${gzip} -9nf ${changelog} COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND documents ${changelog}.gz)
endif()

# rapt_package(COMPONENT NAME SECTION SUMMARY DESCRIPTION)
function(rapt_package component name section summary description)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  install(FILES ${documents} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} COMPONENT ${component}
          EXCLUDE_FROM_ALL)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${about}\n${description}" PARENT_SCOPE)
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} PARENT_SCOPE)
endfunction()

# What a program is built with. (rapt::tasks is static, and uses fmt and TBB itself.)
set(needs "")
if(NOT BUILD_SHARED_LIBS OR TARGET rapt_tasks)
  set(needs libtbb-dev libfmt-dev)
endif()
set(needs_of_tasks "")
if(TARGET rapt_tasks)
  list(APPEND needs_of_tasks zlib1g-dev)
  foreach(pair has_ICU:libicu-dev has_SentencePiece:libsentencepiece-dev
          rapt_speech:libsndfile1-dev rapt_speech:libkissfft-dev
          rapt_captions:libjpeg-dev rapt_captions:libpng-dev)
    string(REPLACE ":" ";" pair ${pair})
    list(POP_FRONT pair condition package)
    if(${condition})
      list(APPEND needs_of_tasks ${package})
    endif()
  endforeach()
endif()
set(CPACK_COMPONENTS_ALL "")
set(needs_of_tools "")
if(BUILD_SHARED_LIBS)
  set(library_package librapt${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  rapt_package(library ${library_package} libs "computation graphs with autodiff in C++20"
               "This package has the shared library.")
  list(APPEND needs "${library_package} (= ${version_of_package})")
  set(needs_of_tools "${library_package} (= ${version_of_package})")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_MULTIARCH same)
  file(WRITE ${PROJECT_BINARY_DIR}/package/triggers "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/package/triggers)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
endif()
rapt_package(development librapt-dev libdevel "computation graphs with autodiff in C++20 (headers)"
             "This package has what programs are built with. For the CMake component tasks,
install the packages that it recommends.")
list(JOIN needs ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
list(JOIN needs_of_tasks ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "cmake, pkg-config, libxtensor-dev")
if(RAPT_EXAMPLES AND TARGET rapt_tasks)
  rapt_package(tools rapt-tools science "computation graphs with autodiff in C++20 (programs)"
               "This package has programs that train models, and then translate, recognise
speech or describe pictures.")
  set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${needs_of_tools}")
endif()
include(CPack)
