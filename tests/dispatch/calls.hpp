// Every kind of call that is dispatched, and one that is not: of each, the bits of all that it writes. Included by
// dispatched.cpp, whose calls are dispatched, and by direct.cpp, whose calls are not and have a namespace of their own.
#include <simdnorm/self_test.hpp>  // numbers and hash

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace simdnorm {

using Bits = std::vector<std::pair<std::string, std::uint64_t>>;

/// Calls tasks in their order or from the last on.
struct Executor {
  bool last_first;
  template <class F> void operator()(Index tasks, Index /*elements_per_task*/, F&& f) const {
    for (Index task = 0; task < tasks; ++task) f(last_first ? tasks - 1 - task : task);
  }
};

/// Calls of one shape. How a call's parts come to its kernels does not depend on types; of these, rows have another than gamma,
/// beta and what is computed in, and all castings.
class Calls {
  using U = BFloat16;
  using P = float;
  using T = float;

 public:
  Calls(RowShape shape, std::string name, Bits& bits)
      : shape_(shape), name_(std::move(name)), bits_(bits), moments_(count(shape.rows)) {
    for (auto* rows : {&x_, &dy_, &residual_}) fill(*rows, shape.rows * shape.hidden);
    for (auto* vector : {&gamma_, &beta_}) fill(*vector, shape.hidden);
  }

  void run(const Executor& executor) {
    call<true, RoundOnce>("layer", executor);
    call<false, RoundOnce>("rms", executor);
    call<false, OnePlusGamma>("rms, 1 + gamma", executor);
    call<false, RoundXhat>("rms, rounded xhat", executor);
    forward<true, OnePlusGamma>(name_ + "not dispatched", shape_, x_.data(), gamma_.data(), beta_.data(),
                                y_.data(), nullptr, executor);
  }

 private:
  static std::size_t count(Index n) { return static_cast<std::size_t>(n); }
  template <class V> void fill(std::vector<V>& numbers, Index n) {
    for (Index i = 0; i < n; ++i) {
      const float number = numbers_.element_of_row(i / std::max<Index>(shape_.hidden, 1));
      if constexpr (std::is_same_v<V, U>) {
        numbers.push_back(simd::narrow_number<U>(number));
      } else {
        numbers.push_back(number);
      }
    }
  }
  template <bool Layer, class Casting, class X, class Y>
  void forward(const std::string& what, RowShape shape, const X& x, const P* gamma, const P* beta, const Y& y,
               RowMoments<T>* moments, const Executor& executor) {
    const T epsilon = T(0x1p-17);
    if constexpr (Layer) {
      layer_norm_forward<Casting>(shape, x, gamma, beta, epsilon, y, moments, executor);
    } else {
      rms_norm_forward<Casting>(shape, x, gamma, epsilon, y, moments, executor);
    }
    add(what + ", y", y_);
    add(what + ", sum", sum_);
    if (moments != nullptr) {
      std::vector<T> numbers;
      for (const auto& m : moments_) numbers.insert(numbers.end(), {m.mean, m.mean_low, m.rstd, m.scale});
      add(what + ", moments", numbers);
    }
  }
  template <bool Layer, class Casting, class Dx>
  void backward(const std::string& what, RowShape shape, const P* gamma, const Dx& dx, T* dgamma, T* dbeta,
                const GradientOptions& options, const Executor& executor) {
    if constexpr (Layer) {
      layer_norm_backward<Casting>(shape, dy_.data(), x_.data(), gamma, moments_.data(), dx, dgamma, dbeta,
                                   options, executor);
      add(what + ", dbeta", dbeta_);
    } else {
      rms_norm_backward<Casting>(shape, dy_.data(), x_.data(), gamma, moments_.data(), dx, dgamma, options,
                                 executor);
    }
    add(what + ", dgamma", dgamma_);
    add(what + ", dx", dx_);
  }

  template <bool Layer, class Casting> void call(const std::string& norm, const Executor& executor) {
    const std::string what = name_ + norm;
    const P *const gamma = gamma_.data(), *const beta = beta_.data(), *const absent = nullptr;
    y_ = sum_ = dx_ = x_;
    dgamma_.assign(count(shape_.hidden), T(3));
    dbeta_ = dgamma_;
    const auto forward_of = [&](const char* kind, RowShape shape, const auto& x, const P* scale,
                                const P* shift, RowMoments<T>* moments) {
      forward<Layer, Casting>(what + kind, shape, x, scale, shift, y_.data(), moments, executor);
    };
    RowShape fewer = shape_;
    fewer.hidden = std::max<Index>(shape_.hidden - gap, 1);
    forward_of(" of a part", fewer, Strided<const U>{x_.data(), shape_.hidden * shape_.after, shape_.after},
               gamma, beta, nullptr);
    forward_of(" of a sum", shape_, residual_sum(x_.data(), residual_.data(), sum_.data()), gamma, beta,
               nullptr);
    forward_of(" without gamma and beta", shape_, x_.data(), absent, absent, nullptr);
    forward_of(", forward", shape_, x_.data(), gamma, beta, moments_.data());

    T *const dgamma = dgamma_.data(), *const dbeta = dbeta_.data();
    std::vector<double> workspace(count(gradient_workspace_bytes<T>(shape_)) / sizeof(double));
    backward<Layer, Casting>(what + ", dx alone", shape_, gamma, dx_.data(), nullptr, nullptr, {}, executor);
    backward<Layer, Casting>(what + ", added to", shape_, gamma, added(residual_.data(), dx_.data()), dgamma,
                             dbeta, {true, workspace.data()}, executor);
    backward<Layer, Casting>(what + ", backward", shape_, absent, dx_.data(), dgamma, dbeta, {}, executor);
  }

  template <class V> void add(const std::string& what, const std::vector<V>& numbers) {
    BitHash hash;
    hash.add(numbers.data(), static_cast<Index>(numbers.size()));
    bits_.emplace_back(what, hash.word());
  }

  static constexpr Index gap = 3;
  RowShape shape_;
  std::string name_;
  Bits& bits_;
  SelfTestNumbers<T> numbers_;
  std::vector<U> x_, dy_, residual_, y_, sum_, dx_;
  std::vector<P> gamma_, beta_;
  std::vector<T> dgamma_, dbeta_;
  std::vector<RowMoments<T>> moments_;
};

inline Bits bits_of_all_calls() {
  Bits bits;
  const Index threshold = streaming_threshold();
  for (const RowShape shape :
       {RowShape{9, 33}, {1, 530}, {300, 256}, {35, 9, 35}, {8, 65, 4}, {2, 19, 2}, {0, 5}}) {
    const std::string name = std::to_string(shape.rows) + "x" + std::to_string(shape.hidden) + " ";
    Calls(shape, name, bits).run(Executor{false});
    set_streaming_threshold(0);
    Calls(shape, name + "past the caches ", bits).run(Executor{true});
    set_streaming_threshold(threshold);
  }
  return bits;
}

/// An exception of a task of a call comes out of the call.
inline bool passes_exceptions_on() {
  const auto fails = [](Index, Index, const auto&) { throw std::runtime_error("executor"); };
  BFloat16 x[4] = {};
  RowMoments<float>* const no_moments = nullptr;
  try {
    layer_norm_forward({1, 4}, +x, nullptr, nullptr, 1e-5F, +x, no_moments, fails);
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

}  // namespace simdnorm
