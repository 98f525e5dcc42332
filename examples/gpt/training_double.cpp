#include "training_inline.hpp"

namespace gpt {

template class Pass<double>;
template class Shards<double>;
template Vector<double> initial_weights(const Shape&, std::uint64_t, Start);

}  // namespace gpt
