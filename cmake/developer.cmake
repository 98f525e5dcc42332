# Tests, benchmarks and examples: what they are compiled with. None of it reaches a consumer.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
find_package(Threads REQUIRED)

# The instruction set of the project's own programs, one string of compiler flags.
if(NOT DEFINED SIMDNORM_DEVELOPER_FLAGS)
  set(flags "")
  if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CROSSCOMPILING)
    check_cxx_compiler_flag(-march=native SIMDNORM_HAS_MARCH_NATIVE)
    if(SIMDNORM_HAS_MARCH_NATIVE)
      set(flags -march=native)
    endif()
  endif()
  set(SIMDNORM_DEVELOPER_FLAGS "${flags}" CACHE STRING "Flags of simdnorm's own tests, benchmarks and examples")
endif()
separate_arguments(flags NATIVE_COMMAND "${SIMDNORM_DEVELOPER_FLAGS}")

# What a careful consumer compiles with: the tests compile consumers with the same list.
set(SIMDNORM_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wdouble-promotion -Werror)

add_library(simdnorm_developer INTERFACE)
target_link_libraries(simdnorm_developer INTERFACE simdnorm::simdnorm Threads::Threads)
target_compile_options(simdnorm_developer INTERFACE ${flags})
if(PROJECT_IS_TOP_LEVEL) # a parent that switches the tests on must not fail for a new compiler's new warning
  if(MSVC)
    target_compile_options(simdnorm_developer INTERFACE /W4 /WX)
  else()
    target_compile_options(simdnorm_developer INTERFACE ${SIMDNORM_WARNINGS})
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang) # of GoogleTest's own TYPED_TEST_SUITE and INSTANTIATE_TEST_SUITE_P
      target_compile_options(simdnorm_developer INTERFACE -Wno-gnu-zero-variadic-macro-arguments)
    endif()
    # g++ 12 takes the undefined operands of its own AVX-512 intrinsics, in Eigen and xsimd, for mistakes (GCC bug 105593).
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      set(CMAKE_REQUIRED_FLAGS "${SIMDNORM_DEVELOPER_FLAGS}")
      check_cxx_source_compiles("#ifndef __AVX512F__\n#error\n#endif\nint main() {}" SIMDNORM_AVX512)
      unset(CMAKE_REQUIRED_FLAGS)
      if(SIMDNORM_AVX512)
        target_compile_options(simdnorm_developer INTERFACE -Wno-uninitialized -Wno-maybe-uninitialized)
      endif()
    endif()
  endif()
endif()

# g++ collects its garbage each time that its memory has doubled. From 400 MB on and not 128, a test takes 6 to 25 % less time to
# compile, and up to a seventh more memory.
if(PROJECT_IS_TOP_LEVEL AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(--param=ggc-min-heapsize=400000)
endif()

if(SIMDNORM_BUILD_TESTS OR SIMDNORM_BUILD_EXAMPLES)
  enable_testing()
endif()
if(SIMDNORM_BUILD_TESTS)
  add_subdirectory(tests)
  option(SIMDNORM_COVERAGE "Make the target coverage_report: which lines and branches of the headers the tests run" OFF)
  if(SIMDNORM_COVERAGE)
    include(cmake/coverage.cmake)
  endif()
endif()
if(SIMDNORM_BUILD_EXAMPLES)
  add_subdirectory(examples)
endif()
if(SIMDNORM_BUILD_BENCHMARKS)
  add_subdirectory(benchmarks)
endif()
if(PROJECT_IS_TOP_LEVEL)
  include(cmake/reference.cmake)
endif()
