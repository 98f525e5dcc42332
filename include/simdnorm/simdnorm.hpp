// Everything: LayerNorm, RMSNorm and their kin as functors over Eigen objects, and the same operators on raw pointers.
#pragma once

#include "eigen/grouped_norm.hpp"
#include "eigen/layer_norm.hpp"
#include "eigen/modulated_norm.hpp"
#include "eigen/partial_rms_norm.hpp"
#include "eigen/rms_norm.hpp"
#include "eigen/scale_norm.hpp"
#include "pointers.hpp"
