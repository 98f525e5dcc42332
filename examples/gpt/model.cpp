#include "model.hpp"

namespace gpt {

template class Pass<float>;
template class Pass<double>;

}  // namespace gpt
