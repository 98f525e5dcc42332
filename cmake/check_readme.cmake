# Fails unless every ```cpp block of README.md stands in a file of examples/ (indentation and empty lines
# aside), and examples/README.md links to every example.
#   cmake -D ROOT=<source directory> -P check_readme.cmake
#
# No CMake lists of text here: C++ is full of semicolons and brackets, which lists take apart.
if(NOT DEFINED ROOT)
  message(FATAL_ERROR "check_readme: give -D ROOT=<source directory>")
endif()

# The text of a file with unix line ends, without indentation and empty lines.
function(read_text file result)
  file(READ "${file}" text)
  string(REPLACE "\r\n" "\n" text "${text}")
  string(REGEX REPLACE "\n[ \t\n]+" "\n" text "\n${text}\n")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

file(GLOB examples "${ROOT}/examples/*.cpp")
read_text("${ROOT}/README.md" readme)
read_text("${ROOT}/examples/README.md" overview)

set(all_examples "")
foreach(example IN LISTS examples)
  read_text("${example}" text)
  string(APPEND all_examples "${text}\n")
  get_filename_component(name "${example}" NAME)
  string(FIND "${overview}" "(${name})" at)
  if(at EQUAL -1)
    message(SEND_ERROR "check_readme: examples/README.md does not link to ${name}")
  endif()
endforeach()

if(readme MATCHES "\n(```|~~~) ?(c|C|c\\+\\+|C\\+\\+|CPP|cc|cxx|hpp)\n")
  message(SEND_ERROR "check_readme: mark the ${CMAKE_MATCH_2} block of README.md cpp, so that it is checked")
endif()

set(blocks 0)
set(open "\n```cpp\n")
string(LENGTH "${open}" open_length)
string(FIND "${readme}" "${open}" at)
while(NOT at EQUAL -1)
  math(EXPR at "${at} + ${open_length} - 1") # the line end stays with the block: whole lines must match
  string(SUBSTRING "${readme}" ${at} -1 readme)
  string(FIND "${readme}" "\n```" end)
  if(end EQUAL -1)
    message(FATAL_ERROR "check_readme: the last cpp block of README.md has no end")
  endif()
  string(SUBSTRING "${readme}" 0 ${end} block)
  string(FIND "${all_examples}" "${block}\n" found)
  if(found EQUAL -1)
    message(SEND_ERROR "check_readme: this block of README.md is in no file of examples/:${block}")
  endif()
  math(EXPR blocks "${blocks} + 1")
  string(SUBSTRING "${readme}" ${end} -1 readme)
  string(FIND "${readme}" "${open}" at)
endwhile()

if(blocks EQUAL 0)
  message(FATAL_ERROR "check_readme: README.md has no cpp block")
endif()
message(STATUS "check_readme: ${blocks} blocks of README.md are in examples/")
