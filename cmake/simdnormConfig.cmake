# find_package(simdnorm): finds Eigen and xsimd, then the target simdnorm::simdnorm.
include("${CMAKE_CURRENT_LIST_DIR}/simdnormDependencies.cmake")
simdnorm_find_eigen()
simdnorm_find_xsimd()
if(TARGET simdnorm::eigen AND TARGET simdnorm::xsimd)
  include("${CMAKE_CURRENT_LIST_DIR}/simdnormTargets.cmake")
  include("${CMAKE_CURRENT_LIST_DIR}/simdnormDispatch.cmake")
else()
  set(simdnorm_FOUND FALSE)
  set(simdnorm_NOT_FOUND_MESSAGE
      "simdnorm needs Eigen ${SIMDNORM_EIGEN_OLDEST} and xsimd ${SIMDNORM_XSIMD_OLDEST} or newer (Eigen3_DIR: ${Eigen3_DIR}, xsimd_DIR: ${xsimd_DIR})")
endif()
