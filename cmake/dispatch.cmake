# simdnorm_add_dispatch(<target> [TYPES float|double|bfloat16|float16 ...])
#
# Compiles the kernels of LayerNorm and RMSNorm into a target, an executable or a library of C++ that links
# simdnorm::simdnorm, once for each instruction set:
#   baseline   what the target's own flags ask for
#   avx2       AVX2 with FMA and F16C        avx512   the same and AVX-512                 on x86-64
#   sve256     SVE with vectors of 256 bits, if xsimd has it (9 or newer)                  on aarch64, Linux
# Its calls run on the best that the processor has, or on the one that the environment variable SIMDNORM_ISA names. For which
# calls: include/simdnorm/dispatch/call.hpp.
# TYPES: those that rows may hold; all four where none is given.
#
# Where there is only the baseline, as on other processors, nothing is done.
include_guard(GLOBAL)

function(simdnorm_add_dispatch target)
  cmake_parse_arguments(PARSE_ARGV 1 dispatch "" "" TYPES)
  if(dispatch_UNPARSED_ARGUMENTS OR dispatch_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "simdnorm_add_dispatch(<target> [TYPES <type>...]): what is ${dispatch_UNPARSED_ARGUMENTS}${dispatch_KEYWORDS_MISSING_VALUES}?")
  endif()
  get_target_property(kind ${target} TYPE)
  if(NOT kind MATCHES "^(EXECUTABLE|(STATIC|SHARED|MODULE|OBJECT)_LIBRARY)$")
    message(FATAL_ERROR "simdnorm_add_dispatch: ${target} is no executable and no library with sources")
  endif()
  if(NOT dispatch_TYPES)
    set(dispatch_TYPES float double bfloat16 float16)
  endif()
  set(class_of_float float)
  set(class_of_double double)
  set(class_of_bfloat16 BFloat16)
  set(class_of_float16 Float16)
  set(classes "")
  foreach(type IN LISTS dispatch_TYPES)
    if(NOT DEFINED class_of_${type})
      message(FATAL_ERROR "simdnorm_add_dispatch: TYPES are float, double, bfloat16 and float16, not ${type}")
    endif()
    list(APPEND classes ${class_of_${type}})
  endforeach()

  # Also in a build for debugging: what is not inlined would be there once for each set, under one name.
  set(optimized $<$<NOT:$<CXX_COMPILER_ID:MSVC>>:-O3>)
  set(sets "")
  set(flags_of_baseline "")
  set(definitions "")
  if(CMAKE_OSX_ARCHITECTURES)
    # compiled for several processors at once
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(sets baseline avx2 avx512)
    if(MSVC)
      set(flags_of_avx2 /arch:AVX2)
      set(flags_of_avx512 /arch:AVX512)
    else()
      set(flags_of_avx2 -mavx2 -mfma -mf16c)
      set(flags_of_avx512 ${flags_of_avx2} -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)
      # g++ 12 takes the undefined operands of its own AVX-512 intrinsics for mistakes (GCC bug 105593).
      if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        list(APPEND flags_of_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
      endif()
    endif()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$" AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(flags_of_sve256 -march=armv8.2-a+sve -msve-vector-bits=256)
    simdnorm_check_sve("${flags_of_sve256}")
    if(SIMDNORM_XSIMD_HAS_SVE)
      set(sets baseline sve256)
      set(definitions SIMDNORM_DISPATCH_SVE)
    endif()
  endif()
  if(NOT sets)
    message(STATUS "simdnorm: one instruction set for ${target}, nothing to dispatch")
    return()
  endif()

  set(directory "${CMAKE_CURRENT_BINARY_DIR}/simdnorm_dispatch_of_${target}")
  set(sources "")
  foreach(set IN LISTS sets)
    foreach(class IN LISTS classes)
      set(parameters ${class} float)
      if(class MATCHES "^(float|double)$")
        set(parameters ${class})
      endif()
      foreach(parameter IN LISTS parameters)
        set(source "${directory}/${set}_${class}_${parameter}.cpp")
        file(CONFIGURE OUTPUT "${source}" CONTENT "#define SIMDNORM_DISPATCH_SET ${set}
#define SIMDNORM_DISPATCH_ROWS ${class}
#define SIMDNORM_DISPATCH_PARAMETERS ${parameter}
#include <simdnorm/dispatch/kernels.hpp>
")
        set_source_files_properties("${source}" TARGET_DIRECTORY ${target} PROPERTIES
                                    COMPILE_OPTIONS "${optimized};${flags_of_${set}}")
        list(APPEND sources "${source}")
      endforeach()
    endforeach()
  endforeach()
  # Each by itself: neither joined to other sources nor behind a precompiled header, which would include simdnorm before.
  set_source_files_properties(${sources} TARGET_DIRECTORY ${target} PROPERTIES
                              SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${sources})
  list(JOIN classes "," classes)
  set(scope PUBLIC) # who links a static library calls its kernels
  if(kind MATCHES "^(SHARED|MODULE)_LIBRARY$") # whose symbols may be hidden
    set(scope PRIVATE)
  endif()
  target_compile_definitions(${target} ${scope} "SIMDNORM_DISPATCH=${classes}" ${definitions})
endfunction()

function(simdnorm_check_sve flags)
  include(CheckCXXSourceCompiles)
  list(JOIN flags " " CMAKE_REQUIRED_FLAGS)
  set(CMAKE_REQUIRED_LIBRARIES simdnorm::xsimd)
  check_cxx_source_compiles("#include <xsimd/xsimd.hpp>
static_assert(xsimd::batch<float>::size == 8);
int main() {}" SIMDNORM_XSIMD_HAS_SVE)
endfunction()
