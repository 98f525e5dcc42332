// Half of what support/operators_layer_float.cpp compiles: enough to notice most mutants, in half the time.
#include "support/operators_definition.hpp"

namespace support {
template void LayerNormOperator<float>::forward(RowShape, Strided<const float>, const float*, const float*,
                                                float, Strided<float>, RowMoments<float>*, const Executor&);
}
