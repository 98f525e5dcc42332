// Backward from y instead of x: the bits of xhat = (y - beta) / gamma by its definition, for every type, layout and kind of row;
// gradients as near those from x as y's type allows; gammas near zero; wrong arguments.
#include "support/executors.hpp"
#include "support/refused.hpp"
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::from_output;
using simdnorm::OnePlusGamma;
using simdnorm::RoundOnce;

// What one call gives.
template <class Dx, class G> struct Gradients {
  std::vector<Dx> dx;
  std::vector<G> dgamma, dbeta;
  Gradients(Index elements, Index hidden)
      : dx(unwritten_array<Dx>(elements)), dgamma(unwritten_array<G>(hidden)), dbeta(dgamma) {}
};

template <class Casting, class T> T multiplier(T gamma) {
  return std::is_same_v<Casting, OnePlusGamma> ? T(1) + gamma : gamma;
}
// (y - beta) / gamma, each operation rounded to T.
template <class Casting, class T> T xhat_of(T y, T gamma, T beta, T least) {
  gamma = multiplier<Casting>(gamma);
  const T divisor = std::abs(gamma) < least ? std::copysign(least, gamma < 0 ? T(-1) : T(1)) : gamma;
  const volatile T difference = y - beta;
  return difference / divisor;
}

template <Norm norm, class Casting, class Y, class P, class Dx> struct Problems {
  using T = simdnorm::compute_t<Y, P, Dx>;
  static constexpr bool has_beta = norm == Norm::layer;
  RowShape shape;
  Stored<T, P, Y> in;
  std::vector<Y> y;  // (rows, hidden)
  std::vector<RowMoments<T>> moments;

  explicit Problems(RowShape rows)
      : shape(rows),
        in(every_path_of<T, P, T, Y>(rows.rows, rows.hidden, 12)),
        moments(no_moments<T>(rows.rows)) {
    const Index hidden = shape.hidden;
    in.gamma[size(hidden / 3)] = in.gamma[size(hidden / 2)] = number<P>(0);
    in.gamma[size(hidden / 4)] = number<P>(-1e-6);
    in.gamma[size(hidden / 6)] = number<P>(-1);
    for (P& beta : in.beta) beta = number<P>(std::abs(value_of(beta)) > 100 ? 0.5 : value_of(beta));
  }
  // As rows next to each other, whatever the places.
  void forward() {
    y.resize(in.x.size());
    forward_of<Casting>(norm, {shape.rows, shape.hidden}, in.x.data(), in.gamma.data(), in.beta.data(),
                        0x1p-17, y.data(), moments.data());
  }
  T beta(std::size_t column) const { return has_beta ? static_cast<T>(value_of(in.beta[column])) : T(0); }
  std::vector<T> xhat(T least) const {
    std::vector<T> rows(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t c = i % size(shape.hidden);
      rows[i] = xhat_of<Casting>(static_cast<T>(value_of(y[i])), static_cast<T>(value_of(in.gamma[c])),
                                 beta(c), least);
    }
    return rows;
  }
  // By the backward of rows that are normalized already, whose rstd is 1.
  Gradients<T, T> expected(T least, const Places& places) const {
    Gradients<T, T> out(places.extent(), shape.hidden);
    const std::vector<RowMoments<T>> normalized(moments.size(), {T(0), T(0), T(1), T(1)});
    const std::vector<T> rows = places.spread(xhat(least)), dy = places.spread(numbers<T>(in.dy));
    backward_of<norm, Casting>(shape, places.read(dy), places.read(rows), in.gamma.data(), normalized.data(),
                               places.write(out.dx), out.dgamma.data(), out.dbeta.data());
    out.dx = places.gather(out.dx);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const RowMoments<T>& of_row = moments[i / size(shape.hidden)];
      const volatile T dx = out.dx[i] * of_row.rstd;
      out.dx[i] = dx * of_row.scale;
      if (out.dx[i] != out.dx[i]) out.dx[i] = nan_of<T>;
    }
    return out;
  }
};

template <Norm norm, class Casting, class Y, class P, class Dx> void check_bits(const Places& places) {
  using T = simdnorm::compute_t<Y, P, Dx>;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " y " + name_of<Y>() + ", " + describe(places));
  const RowShape shape = places.shape;
  Problems<norm, Casting, Y, P, Dx> p(shape);
  p.forward();
  std::vector<Y> y = places.spread(p.y), dy = places.spread(p.in.dy);
  const P* const beta = p.has_beta ? p.in.beta.data() : nullptr;
  for (const double least : {1e-5, 0.125}) {
    const Gradients<T, T> expected = p.expected(static_cast<T>(least), places);
    Gradients<Dx, T> got(places.extent(), shape.hidden);
    const auto run = [&](const auto& dx, const auto& executor) {
      backward_of<norm, Casting>(shape, places.read(dy), from_output(places.read(y), beta, least),
                                 p.in.gamma.data(), p.moments.data(), dx, got.dgamma.data(), got.dbeta.data(),
                                 false, executor);
      ASSERT_EQ(first_unlike(got.dgamma, expected.dgamma), -1) << "dgamma";
      if constexpr (norm == Norm::layer) {
        ASSERT_EQ(first_unlike(got.dbeta, expected.dbeta), -1) << "dbeta";
      }
    };
    const std::vector<Dx> dx = places.spread(numbers<Dx>(expected.dx));
    run(places.write(got.dx), Threads{3});
    ASSERT_EQ(first_unlike(got.dx, dx), -1) << "dx";
    if constexpr (std::is_same_v<Y, Dx>) {
      std::vector<Y>& written = least < 0.1 ? y : dy;  // over y, then over dy
      const std::vector<Y> before = written;
      run(places.write(written), simdnorm::Serial{});
      ASSERT_EQ(first_unlike(places.gather(written), places.gather(dx)), -1) << "dx in place";
      written = before;
    }
  }
}
template <Norm norm, class Casting, class Y, class P, class Dx> void check_bits() {
  for (Index hidden : {1, 2, 17, 64, 200}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)})
      check_bits<norm, Casting, Y, P, Dx>(places);
  }
  const WithStreaming streaming(Streaming::always);
  check_bits<norm, Casting, Y, P, Dx>(contiguous(23, 333));
  check_bits<norm, Casting, Y, P, Dx>(contiguous(16, 512));
  check_bits<norm, Casting, Y, P, Dx>(contiguous(200, 64));  // several tasks
}
TEST(FromOutput, HasTheBitsOfItsDefinition) {
  check_bits<Norm::layer, RoundOnce, float, float, float>();
  check_bits<Norm::rms, OnePlusGamma, BFloat16, float, Float16>();
}

// Of ordinary rows and gammas, y is off by u * |y|, and so xhat by u * |y / gamma|, and a few roundings of T.
template <Norm norm, class Casting, class Y, class Dx> void check_near_x(double u) {
  constexpr Index rows = 40, hidden = 96;
  Problems<norm, Casting, Y, float, Dx> p({rows, hidden});
  Random random(5);
  p.in = {std::vector<float>(size(rows * hidden)), std::vector<Y>(size(rows * hidden)),
          std::vector<float>(size(hidden)), std::vector<float>(size(hidden))};
  fill_normal(random, p.in.x.data(), rows * hidden);
  std::vector<float> dy(p.in.x.size());
  fill_normal(random, dy.data(), rows * hidden);
  p.in.dy = numbers<Y>(dy);
  dy = numbers<float>(p.in.dy);
  fill_normal(random, p.in.beta.data(), hidden);
  for (Index c = 0; c < hidden; ++c) p.in.gamma[size(c)] = static_cast<float>(c % 2 == 0 ? 0.25 : -3) + 0.01F;
  for (Index c = 0; c < hidden; ++c) p.in.x[size(5 * hidden + c)] *= 0x1p-100F;  // scaled, and xhat near 0
  p.forward();
  Gradients<float, float> exact(rows * hidden, hidden);
  Gradients<Dx, float> got(rows * hidden, hidden);
  const float* const gamma = p.in.gamma.data();
  backward_of<norm, Casting>({rows, hidden}, dy.data(), p.in.x.data(), gamma, p.moments.data(),
                             exact.dx.data(), exact.dgamma.data(), exact.dbeta.data());
  backward_of<norm, Casting>({rows, hidden}, p.in.dy.data(),
                             from_output(p.y.data(), p.has_beta ? p.in.beta.data() : nullptr), gamma,
                             p.moments.data(), got.dx.data(), got.dgamma.data(), got.dbeta.data());
  std::vector<double> dgamma_off(size(hidden));
  for (Index r = 0; r < rows; ++r) {
    std::vector<double> off(size(hidden)), xhat(size(hidden));
    double g_off = 0, g_xhat = 0, g_size = 0;
    for (std::size_t c = 0; c < off.size(); ++c) {
      const std::size_t i = size(r * hidden) + c;
      const double by = multiplier<Casting>(static_cast<double>(p.in.gamma[c])), y = value_of(p.y[i]);
      xhat[c] = (y - static_cast<double>(p.beta(c))) / by;
      off[c] = u * std::abs(y / by) +
               0x1p-21 * (std::abs(xhat[c]) + std::abs(static_cast<double>(p.beta(c)) / by));
      const double g = static_cast<double>(dy[i]) * by;
      g_off += std::abs(g) * off[c] / hidden;
      g_size += std::abs(g) * (std::abs(xhat[c]) + 1) / hidden;
      g_xhat += g * xhat[c] / hidden;
      dgamma_off[c] += std::abs(static_cast<double>(dy[i])) * off[c];
    }
    const double rstd = static_cast<double>(simdnorm::true_rstd(p.moments[size(r)]));
    for (std::size_t c = 0; c < off.size(); ++c) {
      const std::size_t i = size(r * hidden) + c;
      const double bound =
          rstd * (off[c] * std::abs(g_xhat) + (std::abs(xhat[c]) + off[c]) * g_off) +
          rstd * 0x1p-20 * (g_size * (1 + std::abs(xhat[c])) + 3 * std::abs(static_cast<double>(dy[i])));
      const double expected = static_cast<double>(exact.dx[i]);
      ASSERT_LE(std::abs(value_of(got.dx[i]) - expected), bound + u * std::abs(expected)) << r << ", " << c;
    }
  }
  for (std::size_t c = 0; c < dgamma_off.size(); ++c)
    ASSERT_LE(std::abs(static_cast<double>(got.dgamma[c] - exact.dgamma[c])), dgamma_off[c] + 1e-5) << c;
}
TEST(FromOutput, IsAsNearAsYAllows) {
  check_near_x<Norm::layer, RoundOnce, float, float>(0x1p-24);
  check_near_x<Norm::rms, OnePlusGamma, BFloat16, Float16>(0x1p-8);
}

// Lanes beyond the rows, which lie side by side, add nothing to dgamma, not even where beta / gamma overflows.
TEST(FromOutput, OfALargeBetaAndASmallGamma) {
  constexpr Index hidden = 3;
  for (Index rows : {1, 5, 8, 19}) {
    const Places places = side_by_side(1, rows, hidden);
    const std::vector<float> gamma(hidden, 1e-30F), beta(hidden, 3e9F), y(size(rows * hidden), 3e9F),
        dy(y.size(), 1.0F);
    const std::vector<RowMoments<float>> moments(size(rows), {0, 0, 1, 1});
    std::vector<float> dx(y.size()), dgamma(hidden, 7.0F), dbeta = dgamma;
    simdnorm::layer_norm_backward(places.shape, places.read(dy),
                                  from_output(places.read(y), beta.data(), 1e-30), gamma.data(),
                                  moments.data(), places.write(dx), dgamma.data(), dbeta.data());
    EXPECT_EQ(dgamma, std::vector<float>(hidden, 0.0F)) << rows;
    EXPECT_EQ(dbeta, std::vector<float>(hidden, static_cast<float>(rows))) << rows;
  }
}

TEST(FromOutput, ErrorsComeBeforeAnythingIsWritten) {
  constexpr Index hidden = 8;
  const std::vector<float> unwritten(3 * hidden, 1.25F);
  std::vector<float> dx = unwritten, y = unwritten, dgamma = unwritten, dbeta = unwritten;
  const std::vector<float> dy(2 * hidden, 1.0F), beta(hidden, 0.5F), gamma = beta;
  const std::vector<RowMoments<float>> moments(2, {0, 0, 1, 1});
  const auto backward = [&](const auto& x, float* out) {
    backward_of<Norm::layer>({2, hidden}, simdnorm::Strided<const float>{dy.data(), hidden, 1}, x,
                             gamma.data(), moments.data(), simdnorm::Strided<float>{out, hidden, 1},
                             dgamma.data(), dbeta.data());
  };
  const auto output = [&](const float* values, const float* shift, double least = 1e-5) {
    return from_output(simdnorm::Strided<const float>{values, hidden, 1}, shift, least);
  };
  for (const double wrong : {0.0, -1.0, 1e-60, std::numeric_limits<double>::quiet_NaN()})
    refused({"layer_norm_backward: least_gamma must be above 0", "(rows 2, hidden 8)"},
            [&] { backward(output(y.data(), beta.data(), wrong), dx.data()); });
  refused({"y is nullptr"}, [&] { backward(output(nullptr, beta.data()), dx.data()); });
  refused({"dx", "y", "overlap"}, [&] { backward(output(y.data(), beta.data()), y.data() + 1); });
  refused({"dx", "beta", "overlap"}, [&] { backward(output(y.data(), dx.data()), dx.data()); });
  for (const auto* written : {&dx, &y, &dgamma, &dbeta}) EXPECT_EQ(*written, unwritten);
  EXPECT_NO_THROW(backward(output(y.data(), nullptr), dx.data()));
}

}  // namespace
