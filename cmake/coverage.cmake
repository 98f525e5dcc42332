# Which lines and branches of include/simdnorm the tests run, by clang's source-based coverage.
#
# Included, it makes the target coverage_report: runs the tests, then this file as the script that prints the table,
#   cmake -D LLVM_COV=<llvm-cov> -D PROFILE=<merged profile> -D "PROGRAMS=<test>|<test>" -D HEADERS=<dir> -P coverage.cmake
# which fails where a line is missed, or too many branches are.
#
# A line is run when any instantiation of a template runs it. A branch is one outcome of one condition, taken when any
# instantiation takes it; conditions that are constant at compile time (if constexpr) have none. What the preprocessor
# leaves out, and templates that no test instantiates, are not seen.
cmake_minimum_required(VERSION 3.21)

if(NOT CMAKE_SCRIPT_MODE_FILE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "simdnorm: SIMDNORM_COVERAGE needs clang; gcc counts the edges of exceptions as branches")
  endif()
  string(REGEX MATCH "^[0-9]+" major "${CMAKE_CXX_COMPILER_VERSION}")
  find_program(SIMDNORM_LLVM_COV NAMES llvm-cov-${major} llvm-cov REQUIRED)
  find_program(SIMDNORM_LLVM_PROFDATA NAMES llvm-profdata-${major} llvm-profdata REQUIRED)

  target_compile_options(simdnorm_developer INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(simdnorm_developer INTERFACE -fprofile-instr-generate)
  if(TARGET test_dispatched)
    target_compile_options(test_dispatched PRIVATE -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(test_dispatched PRIVATE -fprofile-instr-generate)
  endif()
  target_compile_options(test_support PRIVATE -O1) # the kernels that most tests run, whatever the rest is compiled with

  get_property(tests DIRECTORY "${PROJECT_SOURCE_DIR}/tests" PROPERTY BUILDSYSTEM_TARGETS)
  if(TARGET test_dispatched)
    list(APPEND tests test_dispatched)
  endif()
  list(FILTER tests INCLUDE REGEX "^test_")
  list(REMOVE_ITEM tests test_support)
  foreach(test IN LISTS tests)
    get_target_property(nightly ${test} EXCLUDE_FROM_ALL)
    if(nightly)
      list(REMOVE_ITEM tests ${test})
    endif()
  endforeach()
  list(TRANSFORM tests REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE programs)
  list(JOIN programs | programs)

  set(profiles "${PROJECT_BINARY_DIR}/coverage")
  add_custom_target(
    coverage_report
    COMMAND ${CMAKE_COMMAND} -E rm -rf "${profiles}"
    # %m: one file a program, to which each of its processes adds.
    COMMAND ${CMAKE_COMMAND} -E env "LLVM_PROFILE_FILE=${profiles}/%m.profraw"
            ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error --label-exclude nightly
    COMMAND ${SIMDNORM_LLVM_PROFDATA} merge --sparse "${profiles}" -o "${profiles}.profdata"
    COMMAND ${CMAKE_COMMAND} -D LLVM_COV=${SIMDNORM_LLVM_COV} -D PROFILE=${profiles}.profdata -D PROGRAMS=${programs}
            -D HEADERS=${PROJECT_SOURCE_DIR}/include/simdnorm -P "${CMAKE_CURRENT_LIST_FILE}"
    DEPENDS ${tests}
    USES_TERMINAL VERBATIM
    COMMENT "Running the tests; the table follows")
  return()
endif()

set(least_branches 95) # per cent

# `llvm-cov show` prints each instantiation. What llvm-cov has for a whole file is no union: `report` takes the best
# instantiation, the lines of `export` mix the regions of all, and a line after an `if constexpr` that returns is missed.
string(REPLACE "|" ";--object=" programs "${PROGRAMS}")
execute_process(
  COMMAND ${LLVM_COV} show --instr-profile=${PROFILE} --show-branches=count --show-expansions ${programs} "${HEADERS}"
  OUTPUT_VARIABLE text ERROR_VARIABLE remarks COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[][;\\\\]" " " text "${text}") # what lists take apart
string(REPLACE "\n" ";" text "${text}")

# file:            the view of a whole header
#    12|      3|   line 12
#   |   12|     3| line 12 in one instantiation; lines of macros have another bar before them
#   |  Branch (12:7):  True: 1, False: 2    of the line above; in a macro the place is the macro's
foreach(line IN LISTS text)
  if(line MATCHES "^(  \\|)? +([0-9]+)\\| *([0-9][^ |]*)\\|")
    set(number ${CMAKE_MATCH_2})
    list(APPEND lines_of_${header} ${number})
    if(NOT CMAKE_MATCH_3 STREQUAL "0")
      list(APPEND lines_run_of_${header} ${number})
    endif()
  elseif(line MATCHES "Branch (\\([0-9]+:[0-9]+\\)):  True: ([^,]+), False: ([^ ]+)")
    set(condition "${number}${CMAKE_MATCH_1}")
    list(APPEND branches_of_${header} "${condition}:true" "${condition}:false")
    if(NOT CMAKE_MATCH_2 STREQUAL "0")
      list(APPEND branches_run_of_${header} "${condition}:true")
    endif()
    if(NOT CMAKE_MATCH_3 STREQUAL "0")
      list(APPEND branches_run_of_${header} "${condition}:false")
    endif()
  elseif(line MATCHES "^(/.+):$")
    file(RELATIVE_PATH header "${HEADERS}" "${CMAKE_MATCH_1}")
    list(APPEND headers "${header}")
  endif()
endforeach()

function(print_row header lines branches missed)
  string(LENGTH "${header}${lines}" taken)
  math(EXPR gap "42 - ${taken}")
  string(REPEAT " " ${gap} before_lines)
  string(LENGTH "${branches}" taken)
  math(EXPR gap "10 - ${taken}")
  string(REPEAT " " ${gap} before_branches)
  message("${header}${before_lines}${lines}${before_branches}${branches}  ${missed}")
endfunction()

foreach(kind lines branches)
  set(all_${kind} 0)
  set(run_${kind} 0)
endforeach()
print_row(header lines branches missed)
list(SORT headers)
foreach(header IN LISTS headers)
  set(missed_of_header "")
  foreach(kind lines branches)
    set(missed ${${kind}_of_${header}})
    set(run ${${kind}_run_of_${header}})
    list(REMOVE_DUPLICATES missed)
    list(REMOVE_DUPLICATES run)
    list(LENGTH missed all)
    list(REMOVE_ITEM missed ${run})
    list(LENGTH run run)
    math(EXPR all_${kind} "${all_${kind}} + ${all}")
    math(EXPR run_${kind} "${run_${kind}} + ${run}")
    set(${kind} "${run}/${all}")
    list(APPEND missed_of_header ${missed})
  endforeach()
  list(JOIN missed_of_header " " missed_of_header)
  print_row("${header}" ${lines} ${branches} "${missed_of_header}")
endforeach()
print_row("" ${run_lines}/${all_lines} ${run_branches}/${all_branches} "")

if(run_lines LESS all_lines)
  message(FATAL_ERROR "coverage: the tests miss lines")
endif()
math(EXPR percent "100 * ${run_branches} / ${all_branches}")
if(percent LESS least_branches)
  message(FATAL_ERROR "coverage: the tests miss more than ${least_branches} % of the branches")
endif()
