# A port of vcpkg: with vcpkg.json, a folder ports/simdnorm. Whoever submits it writes the repository's address, and the SHA512 that
# vcpkg prints at the first try.
vcpkg_from_github(
  OUT_SOURCE_PATH SOURCE_PATH
  REPO simdnorm/simdnorm
  REF "v${VERSION}"
  SHA512 0
  HEAD_REF main)

set(VCPKG_BUILD_TYPE release) # headers only
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS -DSIMDNORM_BUILD_TESTS=OFF -DSIMDNORM_BUILD_EXAMPLES=OFF -DSIMDNORM_BUILD_BENCHMARKS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/simdnorm)
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
