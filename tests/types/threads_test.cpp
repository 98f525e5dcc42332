// The same bits for any number of threads, whatever the operands' types.
#include "support/types.hpp"

namespace {

using namespace support;

template <class X, class Y, class G> void check_threads() {
  for (const Places& places : {contiguous(700, 96), side_by_side(2, 300, 40)}) {
    const RowShape shape = places.shape;
    const auto in = every_path_of<X, X, float, Y>(shape.rows, shape.hidden, 1);
    std::vector<Y> y(in.x.size()), y_again = y;
    std::vector<X> dx(in.x.size()), dx_again = dx;
    std::vector<RowMoments<float>> moments(size(shape.rows)), moments_again = moments;
    std::vector<G> dgamma(size(shape.hidden)), dbeta = dgamma, dgamma_again = dgamma, dbeta_again = dgamma;
    const auto run = [&](const Executor& executor, auto& to, auto& kept, auto& to_dx, auto& to_gamma,
                         auto& to_beta) {
      forward_of(Norm::layer, shape, places.read(in.x), in.gamma.data(), in.beta.data(), 0x1p-17,
                 places.write(to), kept.data(), executor);
      backward_of<Norm::layer>(shape, places.read(in.dy), places.read(in.x), in.gamma.data(), kept.data(),
                               places.write(to_dx), to_gamma.data(), to_beta.data(), false, executor);
    };
    run(serial, y, moments, dx, dgamma, dbeta);
    for (const Executor& executor :
         {Executor(Threads{1}), Executor(Threads{3}), Executor(Threads{16}), Executor(Backwards{})}) {
      run(executor, y_again, moments_again, dx_again, dgamma_again, dbeta_again);
      ASSERT_EQ(first_unlike(y, y_again), -1);
      ASSERT_EQ(first_difference(moments, moments_again), -1);
      ASSERT_EQ(first_unlike(dx, dx_again), -1);
      ASSERT_EQ(first_unlike(dgamma, dgamma_again), -1);
      ASSERT_EQ(first_unlike(dbeta, dbeta_again), -1);
      std::fill(y_again.begin(), y_again.end(), Y{});
      std::fill(dx_again.begin(), dx_again.end(), X{});
    }
  }
}
TEST(MixedThreads, GiveTheSameBits) {
  check_threads<BFloat16, BFloat16, float>();
  check_threads<Float16, BFloat16, double>();
}

// accumulate adds, with one rounding, to gradients of either type.
template <class G> void check_accumulate() {
  const Index rows = 70, hidden = 45;
  Stored<BFloat16, BFloat16> in = every_path_of<BFloat16, BFloat16>(rows, hidden, 2);
  for (BFloat16& x : in.x) {
    if (!std::isfinite(value_of(x))) x = number<BFloat16>(2);
  }
  std::vector<BFloat16> out(in.x.size());
  std::vector<RowMoments<float>> moments(size(rows));
  forward_of(Norm::layer, {rows, hidden}, in.x.data(), in.gamma.data(), in.beta.data(), 0x1p-17, out.data(),
             moments.data());
  std::vector<double> whole(size(hidden)), whole_beta(size(hidden));
  backward_of<Norm::layer>({rows, hidden}, in.dy.data(), in.x.data(), in.gamma.data(), moments.data(),
                           out.data(), whole.data(), whole_beta.data());
  std::vector<G> dgamma(size(hidden), G(0.7)), dbeta(size(hidden), G(-3));
  backward_of<Norm::layer>({rows, hidden}, in.dy.data(), in.x.data(), in.gamma.data(), moments.data(),
                           out.data(), dgamma.data(), dbeta.data(), true);
  for (std::size_t c = 0; c < dgamma.size(); ++c) {
    EXPECT_EQ(dgamma[c], static_cast<G>(whole[c] + static_cast<double>(G(0.7)))) << c;
    EXPECT_EQ(dbeta[c], static_cast<G>(whole_beta[c] - 3)) << c;
  }
}
TEST(MixedGradients, AccumulateInFloatAndInDouble) {
  check_accumulate<float>();
  check_accumulate<double>();
}

}  // namespace
