# Writes a source file that holds the text of others, as
#   std::string_view report_file(std::string_view name);
# Run with -DOUTPUT=<the source file> -DHEADER=<what declares the function> -DFILES=<names, between
# commas> -DFOLDER=<where they lie>.
cmake_minimum_required(VERSION 3.22)
string(REPLACE "," ";" names "${FILES}")
set(cases "")
foreach(name ${names})
  file(READ ${FOLDER}/${name} text)
  string(FIND "${text}" ")embedded\"" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "${name} holds what would end it")
  endif()
  string(APPEND cases "  if (name == \"${name}\") return R\"embedded(${text})embedded\";\n")
endforeach()
set(source "// Made by cmake/embed.cmake.
#include \"${HEADER}\"

#include <stdexcept>
#include <string>

namespace rapt::tasks {

std::string_view report_file(std::string_view name) {
${cases}  throw std::out_of_range(\"no such file: \" + std::string(name));
}

}  // namespace rapt::tasks
")
file(WRITE ${OUTPUT} "${source}")
