// Fuzzes operands of 16 bits and y of 8 bits, on operands with strides, beside the same call on floats, whose own outputs the
// fuzzer `pointers` judges: forward and backward round what that gives, and codes are those of quantize().
//
// Each array is allocated exactly, so that AddressSanitizer sees any access outside; long rows go past the caches where their
// number is even.
#include "fuzz/input.hpp"
#include "support/streaming.hpp"
#include "support/types.hpp"

namespace fuzz {
namespace {

using namespace support;
using simdnorm::Float8E4M3;
using simdnorm::Float8E5M2;

bool is_nan(float a) { return a != a; }
template <class U> bool is_nan(U a) { return is_nan(simdnorm::simd::float_of(a)); }
bool is_nan(std::int8_t) { return false; }
bool is_nan(Float8E4M3 a) { return (a.bits & 0x7fU) == 0x7f; }
bool is_nan(Float8E5M2 a) { return (a.bits & 0x7fU) > 0x7c; }

// The same bits, but for which NaN; and the same between the rows.
template <class U>
void expect_same(const char* what, const std::vector<U>& got, const std::vector<U>& expected) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = std::memcmp(&got[i], &expected[i], sizeof(U)) == 0;
    if (!same && !(is_nan(got[i]) && is_nan(expected[i]))) fail(what, " differs at ", i);
  }
}

template <class X, class Y> class TypesRun {
 public:
  explicit TypesRun(Input& input) : norm_(input.coin() ? Norm::layer : Norm::rms) {
    const Index after = input.between(0, 2) == 0 ? input.size(2, 140) : 1;
    const Index items = after == 1 ? input.size(1, 40) : input.between(1, 3);
    const Index hidden = input.size(1, std::max<Index>(1, 4000 / (after * items)));
    const Index column = after + (input.coin() ? 0 : input.between(0, 2));
    const Index run = (hidden - 1) * column + after;
    places_ = {{after * items, hidden, after}, run + (input.coin() ? 0 : input.between(0, 9)), column};
    epsilon_ = input.one_of({1e-5F, 0.0F, 1e-12F, 0.25F, 1e30F});
    in_ = {numbers<X>(input.rows<float>(after * items, hidden)),
           numbers<Y>(input.rows<float>(after * items, hidden)), numbers<X>(input.rows<float>(1, hidden)),
           numbers<X>(input.rows<float>(1, hidden))};
    scale_ = std::ldexp(1.0F, static_cast<int>(input.between(-30, 30)));
    zero_ = static_cast<int>(input.between(-128, 127));
    call_in_words =
        std::string(oracle::name(norm_)) + " " + describe(places_) + " epsilon " + std::to_string(epsilon_);
  }

  void operator()() {
    const RowShape shape = places_.shape;
    const WithStreaming scope(shape.rows % 2 == 0 ? Streaming::always : Streaming::never);
    const std::vector<X> x = places_.spread(in_.x);
    const std::vector<Y> dy = places_.spread(in_.dy);
    const std::vector<float> wide_x = places_.spread(numbers<float>(in_.x)),
                             wide_dy = places_.spread(numbers<float>(in_.dy)),
                             gamma = numbers<float>(in_.gamma), beta = numbers<float>(in_.beta);
    const float* const shift = norm_ == Norm::layer ? beta.data() : nullptr;
    std::vector<RowMoments<float>> moments = no_moments<float>(shape.rows), wide_moments = moments;
    std::vector<float> wide_y = unwritten_array<float>(places_.extent());
    support::forward(norm_, shape, places_.read(wide_x), gamma.data(), shift, epsilon_, places_.write(wide_y),
                     wide_moments.data());
    std::vector<Y> y = unwritten_array<Y>(places_.extent());
    forward_of(norm_, shape, places_.read(x), in_.gamma.data(), in_.beta.data(),
               static_cast<double>(epsilon_), places_.write(y), moments.data());
    expect_same("y", y, places_.spread(numbers<Y>(places_.gather(wide_y))));

    std::vector<float> wide_dx = unwritten_array<float>(places_.extent()), sums[4];
    for (std::vector<float>& sum : sums) sum.assign(size(shape.hidden), 0.0F);
    support::backward(norm_, shape, places_.read(wide_dy), places_.read(wide_x), gamma.data(),
                      wide_moments.data(), places_.write(wide_dx), sums[0].data(),
                      norm_ == Norm::layer ? sums[1].data() : nullptr);
    std::vector<X> dx = unwritten_array<X>(places_.extent());
    if (norm_ == Norm::layer) {
      backward_of<Norm::layer>(shape, places_.read(dy), places_.read(x), in_.gamma.data(), moments.data(),
                               places_.write(dx), sums[2].data(), sums[3].data());
    } else {
      backward_of<Norm::rms>(shape, places_.read(dy), places_.read(x), in_.gamma.data(), moments.data(),
                             places_.write(dx), sums[2].data(), sums[3].data());
    }
    expect_same("dx", dx, places_.spread(numbers<X>(places_.gather(wide_dx))));
    expect_same("dgamma", sums[2], sums[0]);
    expect_same("dbeta", sums[3], sums[1]);

    codes<std::int8_t>(x, wide_y, zero_);
    codes<Float8E4M3>(x, wide_y, 0);
    codes<Float8E5M2>(x, wide_y, 0);
  }

 private:
  template <class Q> void codes(const std::vector<X>& x, const std::vector<float>& y, int zero) const {
    const RowShape shape = places_.shape;
    std::vector<Q> got = unwritten_array<Q>(places_.extent()), expected = got;
    std::vector<float> scales = unwritten_array<float>(shape.rows), expected_scales = scales;
    const auto forward_to = [&](const auto& output) {
      forward_of(norm_, shape, places_.read(x), in_.gamma.data(), in_.beta.data(),
                 static_cast<double>(epsilon_), output, static_cast<RowMoments<float>*>(nullptr));
    };
    forward_to(simdnorm::per_token(places_.write(got), scales.data()));
    simdnorm::quantize(shape, places_.read(y),
                       simdnorm::per_token(places_.write(expected), expected_scales.data()));
    expect_same("codes", got, expected);
    expect_same("scales", scales, expected_scales);
    forward_to(simdnorm::per_tensor(places_.write(got), scale_, zero));
    simdnorm::quantize(shape, places_.read(y), simdnorm::per_tensor(places_.write(expected), scale_, zero));
    expect_same("codes of one scale", got, expected);
  }

  Norm norm_;
  Places places_{};
  float epsilon_ = 0, scale_ = 1;
  int zero_ = 0;
  Stored<X, X, Y> in_;
};

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t count) {
  fuzz::Input input(data, count);
  if (input.coin()) {
    fuzz::TypesRun<simdnorm::BFloat16, simdnorm::Float16> run(input);
    run();
  } else {
    fuzz::TypesRun<simdnorm::Float16, simdnorm::BFloat16> run(input);
    run();
  }
  return 0;
}
