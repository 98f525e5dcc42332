// A residual's sum with a gated branch, and back: the bits of the composition; in place.
#include "fusion/gated.hpp"

namespace {

using namespace fusion;

// sum = alpha * residual + (x * silu(z) + bias), and y = norm(sum); dx and dz of the gradient of sum.
void check(const Places& places) {
  SCOPED_TRACE(describe(places));
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden;
  const GateProblem<float, BFloat16, float> p(shape.rows, hidden, 4);
  const SumProblem<float, float, float> other(shape.rows, hidden, 5);
  const Gates<float> gates(numbers<float>(p.z));
  std::vector<float> sum_rows = products(p.in.x, gates.gate);
  for (std::size_t i = 0; i < sum_rows.size(); ++i)
    sum_rows[i] = canonical(plus(times(other.residual[i], static_cast<float>(alpha)),
                                 plus(times(p.in.x[i], gates.gate[i]), other.bias[i % size(hidden)])));
  PlainNorm<float> plain(Norm::layer, shape, sum_rows, p.in.gamma, p.in.beta);
  std::vector<float> x = places.spread(p.in.x), residual = places.spread(other.residual),
                     sum = unwritten_array<float>(places.extent()), y = sum, dx = sum, dresidual = sum;
  const std::vector<float> dsum = places.spread(other.dsum), dy = places.spread(p.in.dy);
  std::vector<BFloat16> z = places.spread(p.z), dz = unwritten_array<BFloat16>(places.extent());
  std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows);
  const auto forward = [&](std::vector<float>& to_sum, std::vector<float>& to_y) {
    const auto terms =
        residual_sum(gated(places.read(x), places.read(z)), places.read(residual), places.write(to_sum));
    gated_forward<Norm::layer>(shape, terms.bias(other.bias.data()).alpha(alpha), p.in.gamma.data(),
                               p.in.beta.data(), places.write(to_y), moments.data(), Threads{3});
    ASSERT_EQ(first_unlike(to_sum, places.spread(sum_rows)), -1) << "sum";
    ASSERT_EQ(first_unlike(to_y, places.spread(plain.y)), -1) << "y";
    ASSERT_EQ(first_difference(moments, plain.moments), -1) << "moments";
  };
  forward(sum, y);
  forward(residual, x);
  x = places.spread(p.in.x), residual = places.spread(other.residual);
  forward(x, residual);
  x = places.spread(p.in.x);

  plain.backward(p.in.dy, sum_rows);
  std::vector<float> of_sum = plain.dx;
  for (std::size_t i = 0; i < of_sum.size(); ++i) of_sum[i] = canonical(plus(other.dsum[i], of_sum[i]));
  const std::vector<BFloat16> dz_rows = numbers<BFloat16>(products(products(of_sum, p.in.x), gates.slope));
  const auto backward = [&](std::vector<float>& to_x, std::vector<BFloat16>& to_z,
                            std::vector<float>& to_residual) {
    const auto to_both =
        simdnorm::gate_gradients(places.read(x), places.read(z), places.write(to_x), places.write(to_z));
    gated_backward<Norm::layer>(shape, places.read(dy), places.read(sum), p.in.gamma.data(), moments.data(),
                                residual_gradients(places.read(dsum), to_both, places.write(to_residual)));
    ASSERT_EQ(first_unlike(to_x, places.spread(products(of_sum, gates.gate))), -1) << "dx";
    ASSERT_EQ(first_unlike(to_z, places.spread(dz_rows)), -1) << "dz";
    ASSERT_EQ(first_unlike(to_residual, places.spread(of_sum)), -1) << "dresidual";
  };
  backward(dx, dz, dresidual);
  backward(sum, z, x);
}
TEST(GatedSum, HasTheBitsOfTheComposition) {
  for (Index hidden : {1, 5, 33, 130, 301}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)}) {
      check(places);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
