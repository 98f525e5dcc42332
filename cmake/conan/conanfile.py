"""A recipe of Conan 2: `conan create . --name simdnorm --version 1.0.0` in a folder with this file and, as ConanCenter has
it, a conandata.yml of each version's address and SHA256."""
import os

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class SimdnormConan(ConanFile):
    name = "simdnorm"
    description = "LayerNorm and RMSNorm for CPUs, forward and backward, vectorized, on Eigen tensors and raw pointers"
    license = "MIT"
    topics = ("layer-normalization", "rmsnorm", "simd", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def requirements(self):
        self.requires("eigen/3.4.0", transitive_headers=True)
        self.requires("xsimd/13.0.0", transitive_headers=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 17)

    def layout(self):
        basic_layout(self, src_folder="src")

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))
        copy(self, "dispatch.cmake", os.path.join(self.source_folder, "cmake"), os.path.join(self.package_folder, "cmake"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "simdnorm")
        self.cpp_info.set_property("cmake_target_name", "simdnorm::simdnorm")
        self.cpp_info.set_property("cmake_build_modules", [os.path.join("cmake", "dispatch.cmake")])
        self.cpp_info.set_property("pkg_config_name", "simdnorm")
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
