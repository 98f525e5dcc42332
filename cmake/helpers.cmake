# Small functions of the build, used by the other CMake files.

# The version is written once, in the header; CMake follows it.
function(simdnorm_read_version header result)
  file(STRINGS "${header}" lines REGEX "^#define SIMDNORM_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  set(version "")
  foreach(part MAJOR MINOR PATCH)
    if(NOT lines MATCHES "SIMDNORM_VERSION_${part} +([0-9]+)")
      message(FATAL_ERROR "simdnorm: ${header} does not define SIMDNORM_VERSION_${part}")
    endif()
    list(APPEND version ${CMAKE_MATCH_1})
  endforeach()
  list(JOIN version . version)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
  set(${result} ${version} PARENT_SCOPE)
endfunction()

# simdnorm_add_program(name source...): a test, an example or a benchmark, compiled as developers compile.
function(simdnorm_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE simdnorm_developer)
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
