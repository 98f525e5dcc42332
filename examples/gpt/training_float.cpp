#include "training_inline.hpp"

namespace gpt {

template class Pass<float>;
template class Shards<float>;
template Vector<float> initial_weights(const Shape&, std::uint64_t, Start);

}  // namespace gpt
