// The calls as they are where nothing is dispatched, compiled for this machine, in a namespace of their own.
#undef SIMDNORM_DISPATCH
#define simdnorm direct
#include <simdnorm/pointers.hpp>

#include "calls.hpp"
#undef simdnorm

Calls direct_calls() { return direct::calls; }
