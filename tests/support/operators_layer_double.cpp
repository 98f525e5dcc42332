#include "support/operators_definition.hpp"

template struct support::LayerNormOperator<double>;
