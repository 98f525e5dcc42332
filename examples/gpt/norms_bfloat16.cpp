#include "norms_inline.hpp"

GPT_NORMS(float, Bfloat16)
