// Calls that must fail, one per argument number. Built twice: with exceptions, where the words are what() of the
// exception; without exceptions and RTTI, where they are printed before the program aborts.
#include <simdnorm/simdnorm.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

static void call(int number) {
  Eigen::Tensor<float, 2, Eigen::RowMajor> x(2, 9), y(2, 8);
  Eigen::Tensor<float, 1> gamma(9);
  x.setZero();
  gamma.setConstant(1);
  switch (number) {
    case 1:
      return simdnorm::LayerNorm<float>(9).forward(x, y);
    case 2:
      return simdnorm::RMSNorm<float>(gamma, -1.0f).forward(x, x);
    case 3:
      return simdnorm::layer_norm_forward({2, 0}, x.data(), nullptr, nullptr, 1e-5f, y.data());
    default:
      std::exit(3);
  }
}

int main(int, char** arguments) {
  const int number = std::atoi(arguments[1]);
#ifdef __cpp_exceptions
  try {
    call(number);
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
#else
  call(number);
#endif
  return 0;  // the call did not fail
}
