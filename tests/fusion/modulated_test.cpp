// adaLN: the bits of the norm of each item's rows by themselves, wherever they lie, whoever runs them; wrong arguments.
#include "fusion/modulated.hpp"

#include "support/executors.hpp"
#include "support/refused.hpp"

namespace {

using namespace fusion;

// Forward and backward of all rows at once beside those of each item. Dy: also the type of dx; G: dscale and dshift.
template <Norm norm, class Casting, class X, class P, class Y, class Dy, class G, class Run>
void check_items(const Places& places, Index items, const Places& vectors, const Run& executor) {
  using T = simdnorm::compute_t<X, P, Y>;
  static_assert(std::is_same_v<T, simdnorm::compute_t<X, P, Dy>>);
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", scale " + name_of<P>() + ", y " +
               name_of<Y>() + ", dy " + name_of<Dy>() + ", " + std::to_string(items) + " items, " +
               describe(places));
  const ItemProblem<X, P, Dy> p(shape.rows, hidden, items, 3);
  const std::vector<X> x = places.spread(p.in.x);
  const std::vector<Dy> dy = places.spread(p.in.dy);
  const std::vector<P> scale = vectors.spread(p.scale), shift = vectors.spread(p.shift);
  std::vector<Y> y = unwritten_array<Y>(places.extent());
  std::vector<Dy> dx = unwritten_array<Dy>(places.extent());
  std::vector<G> dscale = unwritten_array<G>(vectors.extent()), dshift = dscale;
  const std::vector<G> untouched = dscale;
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  modulated_forward_of<norm, Casting>(shape, items, places.read(x), vectors.read(scale), vectors.read(shift),
                                      T(0x1p-17), places.write(y), moments.data(), executor);
  modulated_backward_of<norm, Casting>(shape, items, places.read(dy), places.read(x), vectors.read(scale),
                                       moments.data(), places.write(dx), vectors.write(dscale),
                                       vectors.write(dshift), {}, executor);

  std::vector<Y> y_expected;
  std::vector<Dy> dx_expected;
  std::vector<G> dscale_expected, dshift_expected;
  std::vector<RowMoments<T>> moments_expected;
  const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
  const Places of_item = of_each(places, items);
  for (Index i = 0; i < items; ++i) {
    const std::vector<X> x_item = of_item.spread(part(p.in.x, items, i));
    const std::vector<Dy> dy_item = of_item.spread(part(p.in.dy, items, i));
    std::vector<Y> y_item = unwritten_array<Y>(of_item.extent());
    std::vector<Dy> dx_item = unwritten_array<Dy>(of_item.extent());
    std::vector<G> to_scale = unwritten_array<G>(hidden), to_shift = to_scale;
    std::vector<RowMoments<T>> kept = no_moments<T>(of_item.shape.rows);
    const P* const gamma = p.scale.data() + i * hidden;
    forward_of<Casting>(norm, of_item.shape, of_item.read(x_item), gamma, p.shift.data() + i * hidden,
                        0x1p-17, of_item.write(y_item), kept.data());
    backward_of<norm, Casting>(of_item.shape, of_item.read(dy_item), of_item.read(x_item), gamma, kept.data(),
                               of_item.write(dx_item), to_scale.data(), to_shift.data());
    append(y_expected, of_item.gather(y_item));
    append(dx_expected, of_item.gather(dx_item));
    append(dscale_expected, to_scale);
    append(dshift_expected, to_shift);
    append(moments_expected, kept);
  }
  ASSERT_EQ(first_unlike(y, places.spread(y_expected)), -1) << "y";
  ASSERT_EQ(first_difference(moments, moments_expected), -1) << "moments";
  ASSERT_EQ(first_unlike(dx, places.spread(dx_expected)), -1) << "dx";
  ASSERT_EQ(first_unlike(dscale, vectors.spread(dscale_expected)), -1) << "dscale";
  ASSERT_EQ(first_unlike(dshift, norm == Norm::layer ? vectors.spread(dshift_expected) : untouched), -1)
      << "dshift";
}

template <Norm norm, class Casting, class X, class P, class Y, class Dy, class G> void check_layouts() {
  for (Index hidden : {1, 37, 64, 200}) {
    for (Index items : {1, 2, 6}) {
      const auto check = [&](const Places& places, const Places& vectors, const auto& executor) {
        check_items<norm, Casting, X, P, Y, Dy, G>(places, items, vectors, executor);
      };
      check(contiguous(12, hidden), arrays(items, hidden), simdnorm::Serial{});
      check(in_wider_rows(6, hidden), slices(items, hidden), Backwards{});
      check(spaced(12, hidden), slices(items, hidden), Threads{3});
      check(side_by_side(6, 11, hidden), arrays(items, hidden), Threads{3});
    }
  }
}
TEST(Modulated, ItemsHaveTheBitsOfCallsOfTheirOwn) {
  check_layouts<Norm::layer, OnePlusGamma, float, float, float, float, float>();
  check_layouts<Norm::rms, OnePlusGamma, float, float, float, float, float>();
}
TEST(Modulated, OfOtherTypesAndCastings) {
  check_layouts<Norm::layer, RoundOnce, BFloat16, float, Float16, BFloat16, double>();
  check_layouts<Norm::rms, OnePlusGamma, float, BFloat16, BFloat16, float, float>();
}

// Few large items are cut into tasks one by one, many or small ones are tasks; the bits are the same.
TEST(Modulated, ManyItemsAreTasksAndFewAreCutIntoThem) {
  const auto asked_for = [](RowShape shape, Index items) {
    const std::vector<float> x(size(shape.rows * shape.hidden), 1.5F), scale(size(items * shape.hidden));
    std::vector<float> y = x;
    std::vector<std::int64_t> tasks, elements;
    simdnorm::modulated_layer_norm_forward(shape, items, x.data(), scale.data(), nullptr, 1e-5F, y.data(),
                                           nullptr, Recorder{&tasks, &elements});
    return tasks;
  };
  const std::vector<std::int64_t> few = asked_for({2 * 128, 512}, 2);
  ASSERT_EQ(few.size(), 2u);
  EXPECT_GT(few[0], 1);
  EXPECT_EQ(few[0], few[1]);
  EXPECT_EQ(asked_for({2 * 127, 512}, 2), std::vector<std::int64_t>{2});
  EXPECT_EQ(asked_for({32 * 128, 512}, 32), std::vector<std::int64_t>{32});
  EXPECT_EQ(asked_for({31 * 128, 512}, 31).size(), 31u);
  check_items<Norm::layer, OnePlusGamma, float, float, float, float, float>(contiguous(2 * 128, 512), 2,
                                                                            arrays(2, 512), Threads{4});
}

// dscale and dshift are added to, one of them may be absent, and the workspace is as large as is said.
TEST(Modulated, GradientsAsAsked) {
  constexpr Index items = 3, hidden = 37, rows = 300;
  const RowShape shape{rows, hidden};
  ItemProblem<float, float, float> p(rows, hidden, items, 8);
  Random random(9);
  fill_normal(random, p.in.x.data(), rows * hidden);
  std::vector<float> y(p.in.x.size()), dx = y, dx_alone = y, zeros(size(items * hidden)), dscale = zeros,
                                       dshift = zeros;
  std::vector<RowMoments<float>> moments(size(rows));
  simdnorm::modulated_layer_norm_forward(shape, items, p.in.x.data(), p.scale.data(), p.shift.data(), 1e-5F,
                                         y.data(), moments.data());
  const auto backward = [&](auto* to_scale, auto* to_shift, std::vector<float>& to_x,
                            const simdnorm::GradientOptions& options) {
    simdnorm::modulated_layer_norm_backward(shape, items, p.in.dy.data(), p.in.x.data(), p.scale.data(),
                                            moments.data(), to_x.data(), to_scale, to_shift, options);
  };
  backward(dscale.data(), dshift.data(), dx, {});
  const auto bytes = size(simdnorm::modulated_workspace_bytes<float>(shape, items));
  EXPECT_EQ(bytes, 3 * size(simdnorm::gradient_workspace_bytes<float>({rows / items, hidden})));
  std::vector<double> workspace(bytes / sizeof(double) + 1, -1.0);
  std::vector<float> added_scale(zeros.size(), 2.5F), added_shift = added_scale;
  backward(added_scale.data(), added_shift.data(), dx_alone, {true, workspace.data()});
  EXPECT_EQ(first_unlike(dx_alone, dx), -1);
  EXPECT_EQ(workspace.back(), -1.0);
  EXPECT_NE(workspace[bytes / 3 * 2 / sizeof(double) + 7], -1.0)
      << "the last item has its own part, from a cache line on";
  for (std::size_t i = 0; i < zeros.size(); ++i) {
    EXPECT_NEAR(added_scale[i], dscale[i] + 2.5F, 1e-4F * std::abs(dscale[i]) + 1e-6F);
    EXPECT_NEAR(added_shift[i], dshift[i] + 2.5F, 1e-4F * std::abs(dshift[i]) + 1e-6F);
  }
  float* const none = nullptr;
  std::vector<float> one = zeros;
  backward(none, one.data(), dx_alone, {});
  EXPECT_EQ(first_unlike(one, dshift), -1);
  backward(one.data(), none, dx_alone, {});
  EXPECT_EQ(first_unlike(one, dscale), -1);
  backward(none, none, dx_alone, {});
  EXPECT_EQ(first_unlike(dx_alone, dx), -1);

  // Absent scale and shift are 0.
  std::vector<float> with_zeros = y, without = y;
  simdnorm::modulated_layer_norm_forward(shape, items, p.in.x.data(), zeros.data(), zeros.data(), 1e-5F,
                                         with_zeros.data());
  simdnorm::modulated_layer_norm_forward(shape, items, p.in.x.data(), nullptr, none, 1e-5F, without.data());
  EXPECT_EQ(first_unlike(with_zeros, without), -1);

  // Without rows, dscale and dshift become 0; without items, there is nothing.
  std::vector<float> to_scale(zeros.size(), 1.0F), to_shift = to_scale;
  simdnorm::modulated_layer_norm_backward({0, hidden}, items, none, none, p.scale.data(), moments.data(),
                                          none, to_scale.data(), to_shift.data());
  EXPECT_EQ(first_unlike(to_scale, zeros), -1);
  EXPECT_EQ(first_unlike(to_shift, zeros), -1);
  EXPECT_NO_THROW(simdnorm::modulated_layer_norm_forward({0, hidden}, 0, none, none, none, 1e-5F, none));
}

// --- wrong arguments ---

struct ModulatedErrors : testing::Test {
  static constexpr Index rows = 6, hidden = 8, items = 2;
  RowShape shape{rows, hidden};
  std::vector<float> memory = std::vector<float>(400, 1.25F);
  float *x = memory.data(), *y = x + 48, *dy = y + 48, *dx = dy + 48, *scale = dx + 48, *shift = scale + 16,
        *dscale = shift + 16, *dshift = dscale + 16;
  std::vector<RowMoments<float>> moments{size(rows), {0, 0, 1, 1}};

  template <class F> void refused(const std::vector<std::string>& words, const F& call) {
    const std::vector<float> before = memory;
    support::refused(words, call);
    EXPECT_EQ(first_unlike(before, memory), -1) << "written before the error";
  }
  template <class Scale, class Shift>
  void forward(Index count, const Scale& by, const Shift& to, float* out, RowShape of = {rows, hidden}) {
    simdnorm::modulated_layer_norm_forward(of, count, x, by, to, 1e-5F, out, moments.data());
  }
  template <class Dscale> void backward(Index count, const Dscale& to_scale, float* to_x) {
    simdnorm::modulated_layer_norm_backward(shape, count, dy, x, scale, moments.data(), to_x, to_scale,
                                            dshift);
  }
};

TEST_F(ModulatedErrors, AreFoundBeforeAnythingIsWritten) {
  EXPECT_NO_THROW(forward(items, scale, shift, y));
  EXPECT_NO_THROW(backward(items, dscale, dx));
  for (Index count : {Index(0), Index(-1), Index(4), Index(12)}) {
    refused({"modulated_layer_norm_forward: rows must be a multiple of items, but items is ",
             "(rows 6, hidden 8)"},
            [&] { forward(count, scale, shift, y); });
    refused({"modulated_layer_norm_backward: rows must be a multiple of items"},
            [&] { backward(count, dscale, dx); });
  }
  refused({"multiple of items times after, but items is 2"}, [&] {
    forward(items, scale, shift, y, {rows, hidden, rows});
  });
  using Rows = simdnorm::Strided<float>;
  refused({"scale has column 2, but the numbers of one item must be contiguous"}, [&] {
    forward(items, Rows{scale, 8, 2}, shift, y);
  });
  refused({"shift has outer -8, but it must be at least 0"}, [&] {
    forward(items, scale, Rows{shift + 8, -8, 1}, y);
  });
  refused({"dscale has outer 7, but it must be at least 8"}, [&] {
    backward(items, Rows{dscale, 7, 1}, dx);
  });
  refused({"y", "scale", "overlap"}, [&] { forward(items, scale, shift, scale - 1); });
  refused({"y", "shift", "overlap"}, [&] { forward(items, scale, shift + 7, shift + 22); });
  refused({"dx", "dscale", "overlap"}, [&] { backward(items, dx + 8, dx); });
  refused({"dscale", "dshift", "overlap"}, [&] { backward(items, dshift + 1, dx); });
  refused({"dscale", "scale", "overlap"}, [&] { backward(items, scale, dx); });
  refused({"y is nullptr"}, [&] { forward(items, scale, shift, nullptr); });
  refused({"epsilon must be at least 0"},
          [&] { simdnorm::modulated_rms_norm_forward(shape, items, x, scale, -1.0F, y, moments.data()); });
  for (Index count : {Index(1), rows}) {
    refused({"modulated_rms_norm_backward: moments is nullptr"}, [&] {
      const RowMoments<float>* const none = nullptr;
      simdnorm::modulated_rms_norm_backward({count, hidden}, 1, dy, x, scale, none, dx, dscale);
    });
  }
}

TEST_F(ModulatedErrors, ArraysMayBePartsOfAWiderMatrix) {
  using Rows = simdnorm::Strided<float>;
  EXPECT_NO_THROW(forward(items, Rows{scale, 16, 1}, Rows{scale + 8, 16, 1}, y));
  EXPECT_NO_THROW(forward(items, Rows{scale, 0, 1}, shift, y));
  const auto backward_to = [&](const Rows& to_scale, const Rows& to_shift) {
    simdnorm::modulated_layer_norm_backward(shape, items, dy, x, scale, moments.data(), dx, to_scale,
                                            to_shift);
  };
  for (Index outer : {16, 17, 20}) {
    EXPECT_NO_THROW(backward_to({dscale, outer, 1}, {dscale + 8, outer, 1})) << outer;
    EXPECT_NO_THROW(backward_to({dscale + outer - 8, outer, 1}, {dscale, outer, 1})) << outer;
    refused({"dscale", "dshift", "overlap"}, [&] {
      backward_to({dscale, outer, 1}, {dscale + 7, outer, 1});
    });
    refused({"dscale", "dshift", "overlap"}, [&] {
      backward_to({dscale, outer, 1}, {dscale + outer - 7, outer, 1});
    });
  }
  refused({"dscale", "dshift", "overlap"}, [&] { backward_to({dscale, 16, 1}, {dscale + 8, 17, 1}); });
}

TEST_F(ModulatedErrors, StridesThatLeadNowhereAreNoErrors) {
  using Rows = simdnorm::Strided<float>;
  const auto call = [&](RowShape of, Index count, const Rows& by, const Rows& to_scale) {
    simdnorm::modulated_rms_norm_backward(of, count, dy, x, by, of.rows == 0 ? nullptr : moments.data(), dx,
                                          to_scale);
  };
  EXPECT_NO_THROW(
      simdnorm::modulated_rms_norm_backward(shape, items, dy, x, scale, moments.data(), dx, dscale));
  for (Index i = 0; i < rows * hidden; ++i) x[i] = static_cast<float>(i % 5);
  for (Index i = 0; i < items * hidden; ++i) scale[i] = static_cast<float>(i);
  simdnorm::modulated_rms_norm_forward(shape, items, x, scale, 1e-5F, y, moments.data());
  simdnorm::modulated_rms_norm_forward(shape, items, x, Rows{scale, hidden, 1}, 1e-5F, dx, moments.data());
  EXPECT_TRUE(std::equal(y, y + rows * hidden, dx));
  EXPECT_NO_THROW(call({rows, hidden}, 1, {scale, 3, 1}, {dscale, 3, 1}));     // of one item
  EXPECT_NO_THROW(call({rows, 1}, 1, {scale, 1, 2}, {dscale, 1, 2}));          // of one column
  EXPECT_NO_THROW(call({0, hidden}, 0, {scale, 0, 2}, {scale, 0, 2}));         // of no items
  EXPECT_NO_THROW(call({rows, hidden}, 1, {nullptr, 0, 2}, {nullptr, 0, 2}));  // of no array
  refused({"scale has column 2"}, [&] { call({rows, 2}, 1, {scale, 2, 2}, {dscale, 2, 1}); });
  refused({"dscale has column 3"}, [&] { call({rows, 2}, 2, {scale, 2, 1}, {dscale, 2, 3}); });
  refused({"dscale", "scale", "overlap"}, [&] { call({rows, hidden}, 1, {scale, 8, 1}, {scale + 7, 8, 1}); });
}

}  // namespace
