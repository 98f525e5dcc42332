// Numbers of any type in memory as vectors of the type that they are computed in: loaded exactly, rounded once when stored.
#pragma once

#include "simd_narrow.hpp"

namespace simdnorm::simd {

template <class U, class = void> inline constexpr bool is_narrow = false;
template <class U> inline constexpr bool is_narrow<U, std::void_t<decltype(sizeof(Storage<U>))>> = true;

/// float, double, or one that has a Storage.
template <class U>
inline constexpr bool is_number = std::is_same_v<U, float> || std::is_same_v<U, double> || is_narrow<U>;

/// One number as a float, and a float as one number, rounded.
template <class U> SIMDNORM_INLINE float float_of(const U& number) {
  return Storage<U>::template load<Vector<float, NoSimd>>(&number).value;
}
template <class U> SIMDNORM_INLINE U narrow_number(float a) {
  U number;
  Storage<U>::store(&number, Vector<float, NoSimd>{a});
  return number;
}

/// x as a float whose last digit says whether x has more than it: rounded again, to fewer digits, it gives what x would.
SIMDNORM_INLINE float rounded_to_odd(double x) {
  float nearest = static_cast<float>(x);
  const double back = static_cast<double>(nearest);
  if (back == x || x != x) return nearest;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &nearest, sizeof bits);
  if (std::abs(back) > std::abs(x)) --bits;  // toward 0
  bits |= 1U;
  std::memcpy(&nearest, &bits, sizeof bits);
  return nearest;
}

/// The vector whose numbers lie in memory as U is another type than its own.
template <class V, class U> using IfConverted = std::enable_if_t<!std::is_same_v<U, typename V::Scalar>>;

template <class V, class U, class = IfConverted<V, U>> SIMDNORM_INLINE V load(All, const U* p) {
  if constexpr (std::is_same_v<typename V::Scalar, float>) {
    return Storage<U>::template load<V>(p);
  } else if constexpr (std::is_same_v<U, float>) {
    return load_as_double<typename V::Architecture>(p);
  } else {
    double numbers[V::width];
    for (int i = 0; i < V::width; ++i) numbers[i] = static_cast<double>(float_of(p[i]));
    return load<V>(All{}, numbers);
  }
}
template <class U, class T, class Arch, class = IfConverted<Vector<T, Arch>, U>>
SIMDNORM_INLINE void store(All, U* p, Vector<T, Arch> a) {
  if constexpr (std::is_same_v<T, float>) {
    Storage<U>::store(p, a);
  } else if constexpr (std::is_same_v<U, float>) {
    store_as_float(p, a);
  } else {
    double numbers[Vector<T, Arch>::width];
    store(All{}, numbers, a);
    for (int i = 0; i < Vector<T, Arch>::width; ++i) p[i] = narrow_number<U>(rounded_to_odd(numbers[i]));
  }
}
/// Two vectors cost less to store as U than each by itself.
template <class U, class V, class = void> inline constexpr bool stores_two = false;
template <class U, class V>
inline constexpr bool
    stores_two<U, V, std::void_t<decltype(Storage<U>::two(std::declval<V>(), std::declval<V>()))>> = true;
/// Those of them, one after the other.
template <class U, class V> SIMDNORM_INLINE void store_two(U* p, V a, V b) {
  const auto both = Storage<U>::two(a, b).value;
  std::memcpy(p, &both, sizeof both);
}
template <class V, class U, class = IfConverted<V, U>> SIMDNORM_NOINLINE V load(First lanes, const U* p) {
  U buffer[V::width] = {};
  copy_first<V::width / 2>(buffer, p, lanes.count);
  return load<V>(All{}, static_cast<const U*>(buffer));
}
template <class U, class T, class Arch, class = IfConverted<Vector<T, Arch>, U>>
SIMDNORM_NOINLINE void store(First lanes, U* p, Vector<T, Arch> a) {
  U buffer[Vector<T, Arch>::width];
  store(All{}, static_cast<U*>(buffer), a);
  copy_first<Vector<T, Arch>::width / 2>(p, static_cast<const U*>(buffer), lanes.count);
}
/// The numbers that lie at p as the elements of a V, as doubles.
template <class V, class U> SIMDNORM_INLINE auto load_doubles(All, const U* p) {
  using Arch = typename V::Architecture;
  if constexpr (is_narrow<U> && std::is_same_v<typename V::Scalar, float>) {
    return narrow_doubles<V>(p, static_cast<const typename V::R::type*>(nullptr));
  } else if constexpr (is_narrow<U>) {
    return as_doubles(load<V>(All{}, p));
  } else {
    Doubles<typename V::Scalar, Arch> doubles;
    unroll<doubles.parts>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      doubles.part[i] = Numbers<Vector<double, Arch>>::from(p + i * Vector<double, Arch>::width);
    });
    return doubles;
  }
}
template <class V, class U> SIMDNORM_INLINE auto load_doubles(First lanes, const U* p) {
  if constexpr (std::is_same_v<U, typename V::Scalar>) {
    return as_doubles(load<V>(lanes, p));
  } else {
    U numbers[V::width] = {};
    copy_first<V::width / 2>(numbers, p, lanes.count);
    return load_doubles<V>(All{}, static_cast<const U*>(numbers));
  }
}

/// The numbers of a vector, each rounded to one of U.
template <class U, class T, class Arch> SIMDNORM_INLINE Vector<T, Arch> rounded_to(Vector<T, Arch> a) {
  using V = Vector<T, Arch>;
  if constexpr (std::is_same_v<U, T>) {
    return a;
  } else {
    U numbers[V::width];
    store(All{}, static_cast<U*>(numbers), a);
    return load<V>(All{}, static_cast<const U*>(numbers));
  }
}

}  // namespace simdnorm::simd
