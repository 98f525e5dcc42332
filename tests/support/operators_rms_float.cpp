#include "support/operators_definition.hpp"

template struct support::RMSNormOperator<float>;
