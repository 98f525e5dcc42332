#include "norms_inline.hpp"

GPT_NORMS(double, double)
