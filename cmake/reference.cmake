# The target `reference`: what the headers' comments say, as HTML in reference/html of the build tree, where Doxygen is. Its
# warnings are errors.
find_package(Doxygen 1.9.1 QUIET)
if(NOT DOXYGEN_FOUND)
  return()
endif()
set(DOXYGEN_OUTPUT_DIRECTORY reference)
set(DOXYGEN_WARN_AS_ERROR FAIL_ON_WARNINGS)
set(DOXYGEN_QUIET YES)
set(DOXYGEN_EXTRACT_ALL YES)
set(DOXYGEN_JAVADOC_AUTOBRIEF YES)
set(DOXYGEN_HAVE_DOT NO)
set(DOXYGEN_STRIP_FROM_PATH "${PROJECT_SOURCE_DIR}/include")
# Attributes of compilers are not shown.
set(DOXYGEN_MACRO_EXPANSION YES)
set(DOXYGEN_EXPAND_ONLY_PREDEF YES)
set(DOXYGEN_PREDEFINED SIMDNORM_INLINE=inline SIMDNORM_INLINE_LAMBDA= SIMDNORM_NOINLINE= SIMDNORM_COLD=)
doxygen_add_docs(reference "${PROJECT_SOURCE_DIR}/include/simdnorm")
