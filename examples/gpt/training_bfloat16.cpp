#include "training_inline.hpp"

namespace gpt {

template class Pass<float, Bfloat16>;
template class Shards<float, Bfloat16>;

}  // namespace gpt
