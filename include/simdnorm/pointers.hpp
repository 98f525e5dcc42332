// The operators on raw pointers, without Eigen.
#pragma once

#include "double_backward.hpp"
#include "grouped_norm.hpp"
#include "layer_norm.hpp"
#include "modulated_norm.hpp"
#include "partial_rms_norm.hpp"
#include "quantize.hpp"
#include "rms_norm.hpp"
#include "scale_norm.hpp"
#include "split_norm.hpp"
