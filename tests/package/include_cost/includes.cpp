// STEP 0: what a user of Eigen tensors and xsimd includes anyway. STEP 1: simdnorm on top.
#include <unsupported/Eigen/CXX11/Tensor>
#include <xsimd/xsimd.hpp>

#if STEP > 0
#include <simdnorm/simdnorm.hpp>
#endif
