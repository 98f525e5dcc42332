// Grouped norms: the bits of a call on each part of the hidden dimension by itself.
#include <simdnorm/pointers.hpp>

#include "fusion/gated.hpp"
#include "support/refused.hpp"

namespace {

using namespace fusion;

template <class T> Strided<T> part(const Strided<T>& rows, Index column) {
  return {rows.data + column * rows.column, rows.outer, rows.column};
}

// LayerNorm of floats, forward and backward.
void check_plain(const Places& places, Index groups) {
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden, each = hidden / groups, rows = shape.rows;
  SCOPED_TRACE(describe(places) + ", groups " + std::to_string(groups));
  const Stored<float, float> in = every_path_of<float, float>(rows, hidden, 3);
  const std::vector<float> x = places.spread(in.x), dy = places.spread(in.dy);
  std::vector<float> y = unwritten_array<float>(places.extent()), dx = y, y_expected = y, dx_expected = y;
  std::vector<float> dgamma(size(hidden)), dbeta = dgamma, dgamma_expected = dgamma, dbeta_expected = dgamma;
  std::vector<RowMoments<float>> moments = no_moments<float>(groups * rows), moments_expected = moments;
  for (Index group = 0; group < groups; ++group) {
    const Index column = group * each;
    RowMoments<float>* const of_group = moments_expected.data() + group * rows;
    const RowShape of_part{rows, each, shape.after};
    support::forward(Norm::layer, of_part, part(places.read(x), column), in.gamma.data() + column,
                     in.beta.data() + column, 0x1p-17F, part(places.write(y_expected), column), of_group);
    support::backward(Norm::layer, of_part, part(places.read(dy), column), part(places.read(x), column),
                      in.gamma.data() + column, of_group, part(places.write(dx_expected), column),
                      dgamma_expected.data() + column, dbeta_expected.data() + column);
  }
  simdnorm::grouped_layer_norm_forward(shape, groups, places.read(x), in.gamma.data(), in.beta.data(),
                                       0x1p-17F, places.write(y), moments.data(), Threads{3});
  ASSERT_EQ(first_unlike(y, y_expected), -1) << "y";
  ASSERT_EQ(first_difference(moments, moments_expected), -1) << "moments";
  std::vector<double> memory(size(simdnorm::grouped_workspace_bytes<float>(shape, groups)) / sizeof(double));
  for (void* workspace : {static_cast<void*>(nullptr), static_cast<void*>(memory.data())}) {
    simdnorm::grouped_layer_norm_backward(shape, groups, places.read(dy), places.read(x), in.gamma.data(),
                                          moments.data(), places.write(dx), dgamma.data(), dbeta.data(),
                                          {false, workspace}, Threads{3});
    ASSERT_EQ(first_unlike(dx, dx_expected), -1) << "dx";
    ASSERT_EQ(first_unlike(dgamma, dgamma_expected), -1) << "dgamma";
    ASSERT_EQ(first_unlike(dbeta, dbeta_expected), -1) << "dbeta";
  }
}
TEST(Grouped, HasTheBitsOfEachPartByItself) {
  for (Index groups : {1, 3, 40}) {
    for (Index each : {1, 5, 33}) {
      const Index hidden = groups * each;
      for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                   side_by_side(2, 11, hidden)})
        check_plain(places, groups);
    }
  }
  check_plain(contiguous(300, 480), 2);  // each spread over the threads
}

// A gated RMSNorm, y in bfloat16, as Mamba-2 has it.
TEST(Grouped, OfGates) {
  constexpr Index rows = 9, groups = 3, each = 21, hidden = groups * each;
  const RowShape shape{rows, hidden};
  const GateProblem<float, BFloat16, float> p(rows, hidden, 4);
  std::vector<BFloat16> y(size(rows * hidden)), y_expected = y;
  std::vector<float> dx(y.size()), dz = dx, dx_expected = dx, dz_expected = dx, dgamma(size(hidden)),
                                   dgamma_expected = dgamma;
  std::vector<RowMoments<float>> moments = no_moments<float>(groups * rows), moments_expected = moments;
  const float* const gamma = p.in.gamma.data();
  simdnorm::grouped_rms_norm_forward(shape, groups, p.in.x.data(), gamma, 1e-5F, gated(y.data(), p.z.data()),
                                     moments.data());
  simdnorm::grouped_rms_norm_backward(shape, groups, gated(p.in.dy.data(), p.z.data()).gradient(dz.data()),
                                      p.in.x.data(), gamma, moments.data(), dx.data(), dgamma.data());
  for (Index column = 0; column < hidden; column += each) {
    const auto of = [&](auto* data) {
      return Strided<std::remove_pointer_t<decltype(data)>>{data + column, hidden, 1};
    };
    RowMoments<float>* const of_group = moments_expected.data() + column / each * rows;
    simdnorm::rms_norm_forward({rows, each}, of(p.in.x.data()), gamma + column, 1e-5F,
                               gated(of(y_expected.data()), of(p.z.data())), of_group);
    simdnorm::rms_norm_backward(
        {rows, each}, gated(of(p.in.dy.data()), of(p.z.data())).gradient(of(dz_expected.data())),
        of(p.in.x.data()), gamma + column, of_group, of(dx_expected.data()), dgamma_expected.data() + column);
  }
  EXPECT_EQ(first_unlike(y, y_expected), -1);
  EXPECT_EQ(first_difference(moments, moments_expected), -1);
  EXPECT_EQ(first_unlike(dx, dx_expected), -1);
  EXPECT_EQ(first_unlike(dz, dz_expected), -1);
  EXPECT_EQ(first_unlike(dgamma, dgamma_expected), -1);
}

// What else is an argument, from a column on; gates from a row on, as modulated norms take them.
TEST(Grouped, OfOtherArguments) {
  float a[24] = {}, b[24] = {};
  const Strided<const float> rows{a, 8, 2};
  const Strided<float> out{b, 8, 1};
  const auto sum = simdnorm::columns_from(residual_sum(rows, rows, out).bias(a).alpha(3), 2);
  EXPECT_TRUE(sum.x.data == a + 4 && sum.residual.data == a + 4 && sum.sum.data == b + 2 &&
              sum.bias_values == a + 2 && sum.residual_scale == 3);
  EXPECT_TRUE(sum.x.outer == 8 && sum.x.column == 2);
  const auto both = simdnorm::columns_from(residual_gradients(nullptr, out, out).alpha(2), 3);
  EXPECT_TRUE(both.dx.data == b + 3 && both.dresidual.data == b + 3 && both.residual_scale == 2);
  const auto more = simdnorm::columns_from(added(rows, out), 1);
  EXPECT_TRUE(more.addend.data == a + 2 && more.y.data == b + 1);
  const auto mapped = simdnorm::columns_from(simdnorm::mapped(5, out), 1);
  EXPECT_TRUE(mapped.function == 5 && mapped.y.data == b + 1);
  const std::int32_t number = 0;
  const auto chosen = simdnorm::columns_from(simdnorm::gathered(rows, 4, &number), 1);
  EXPECT_TRUE(chosen.table.data == a + 2 && chosen.table_rows == 4 && chosen.numbers == &number);
  const auto gradients = simdnorm::columns_from(gate_gradients(rows, rows, out, out), 1);
  EXPECT_TRUE(gradients.x.data == a + 2 && gradients.z.data == a + 2 && gradients.dx.data == b + 1 &&
              gradients.dz.data == b + 1);
  const auto gate = simdnorm::columns_from(gated(rows, rows, out), 1);
  EXPECT_TRUE(gate.x.data == a + 2 && gate.z.data == a + 2 && gate.u.data == b + 1);
  EXPECT_EQ(simdnorm::columns_from(gated(rows, rows).gradient(out, b), 2).beta, b + 2);
  const RowShape shape{3, 4};
  const auto later = simdnorm::rows_from(shape, gated(rows, rows, out), 2);
  EXPECT_TRUE(later.x.data == a + 16 && later.z.data == a + 16 && later.u.data == b + 16);
  const auto later_gradients = simdnorm::rows_from(shape, gate_gradients(rows, rows, out, out), 1);
  EXPECT_TRUE(later_gradients.x.data == a + 8 && later_gradients.z.data == a + 8 &&
              later_gradients.dx.data == b + 8 && later_gradients.dz.data == b + 8);
}

TEST(Grouped, ErrorsComeBeforeAnythingIsWritten) {
  const RowShape shape{6, 8};
  const std::vector<float> x(48, 1.0F), gamma(8, 1.0F);
  std::vector<float> memory(200, 5.0F);
  const std::vector<float> unwritten = memory;
  auto* const moments = reinterpret_cast<RowMoments<float>*>(memory.data());
  const auto forward = [&](Index groups, Index floats_before_y) {
    simdnorm::grouped_layer_norm_forward(shape, groups, packed(shape, x.data()), gamma.data(), gamma.data(),
                                         1e-5F, packed(shape, memory.data() + floats_before_y), moments,
                                         Threads{3});
  };
  for (Index wrong : {-1, 0, 3, 16})
    refused({"grouped_layer_norm_forward: hidden must be a multiple of groups, but groups is " +
             std::to_string(wrong) + " (rows 6, hidden 8)"},
            [&] { forward(wrong, 150); });
  refused({"y", "moments", "overlap"}, [&] { forward(2, 2 * 6 * 4 - 1); });  // the last of the last group
  EXPECT_EQ(memory, unwritten);
  EXPECT_NO_THROW(forward(2, 2 * 6 * 4));
}

}  // namespace
