# `cmake --install`: headers, CMake package, pkg-config file. Nothing in them depends on the machine or on the prefix.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/simdnorm")

target_include_directories(simdnorm INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY include/simdnorm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(TARGETS simdnorm EXPORT simdnormTargets)
install(EXPORT simdnormTargets NAMESPACE simdnorm:: DESTINATION "${package_dir}")

write_basic_package_version_file("${PROJECT_BINARY_DIR}/simdnormConfigVersion.cmake"
                                 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES cmake/simdnormConfig.cmake "${PROJECT_BINARY_DIR}/simdnormConfigVersion.cmake"
        DESTINATION "${package_dir}")
install(FILES cmake/dependencies.cmake DESTINATION "${package_dir}" RENAME simdnormDependencies.cmake)
install(FILES cmake/dispatch.cmake DESTINATION "${package_dir}" RENAME simdnormDispatch.cmake)

# Relocatable: the include directory is written relative to where the .pc file lies.
file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
configure_file(cmake/simdnorm.pc.in simdnorm.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/simdnorm.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
