# simdnorm::eigen and simdnorm::xsimd: include directories, wherever they come from. Installed beside the package's
# config file, which finds the same packages by the same rules.
#
# Targets of our own, because what the packages export is not enough: Debian's xsimd 8.1 links a library `xtl` that
# need not be there, and an imported target found in a subdirectory is not seen by the project around it.

# The versions simdnorm was tried with: anything older is refused, anything newer is used with a remark.
set(SIMDNORM_EIGEN_OLDEST 3.4)
set(SIMDNORM_EIGEN_TRIED 5)
set(SIMDNORM_XSIMD_OLDEST 8.1)
set(SIMDNORM_XSIMD_TRIED 14)

macro(simdnorm_find_eigen)
  simdnorm_find(simdnorm::eigen Eigen3 ${SIMDNORM_EIGEN_OLDEST} ${SIMDNORM_EIGEN_TRIED} Eigen3::Eigen)
endmacro()

macro(simdnorm_find_xsimd)  # the installed target is `xsimd`; `xsimd::xsimd` exists in xsimd's own tree only
  simdnorm_find(simdnorm::xsimd xsimd ${SIMDNORM_XSIMD_OLDEST} ${SIMDNORM_XSIMD_TRIED} xsimd::xsimd xsimd)
endmacro()

# Makes `wrapper` from the first of the targets that exists, else from the installed package; makes nothing if there
# is neither. A macro: find_package must set its variables where the caller can see them.
macro(simdnorm_find wrapper package oldest tried)
  if(NOT TARGET ${wrapper})
    simdnorm_wrap(${wrapper} ${ARGN})
  endif()
  if(NOT TARGET ${wrapper})
    # Without a version: no single request accepts both Eigen 3.4 and 5, nor all of xsimd's.
    find_package(${package} CONFIG QUIET)
    if(${package}_FOUND AND ${package}_VERSION VERSION_LESS ${oldest})
      message(STATUS "simdnorm: ${package} ${${package}_VERSION} is too old, ${oldest} or newer is needed")
    elseif(${package}_FOUND)
      string(REGEX MATCH "^[0-9]+" simdnorm_major "${${package}_VERSION}")
      if(simdnorm_major GREATER ${tried})
        message(STATUS "simdnorm: not yet tried with ${package} ${${package}_VERSION}")
      endif()
      simdnorm_wrap(${wrapper} ${ARGN})
    endif()
  endif()
endmacro()

function(simdnorm_wrap wrapper)
  foreach(target IN LISTS ARGN)
    if(TARGET ${target})
      add_library(${wrapper} INTERFACE IMPORTED GLOBAL)
      get_target_property(imported ${target} IMPORTED)
      if(imported)
        get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
        target_include_directories(${wrapper} INTERFACE ${directories})
      else() # built by the project around us, and so visible everywhere
        target_link_libraries(${wrapper} INTERFACE ${target})
      endif()
      return()
    endif()
  endforeach()
endfunction()

# Makes simdnorm::<name> from the sources of a tag. Only the headers are wanted, so that the project's own CMake files
# are not run: SOURCE_SUBDIR names a directory that does not exist.
function(simdnorm_fetch name repository tag directory)
  message(STATUS "simdnorm: no installed ${name}, fetching ${tag}")
  include(FetchContent)
  FetchContent_Declare(${name} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON SOURCE_SUBDIR headers-only)
  FetchContent_MakeAvailable(${name})
  add_library(simdnorm::${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(simdnorm::${name} INTERFACE "${${name}_SOURCE_DIR}/${directory}")
endfunction()
