// Two norms of the same rows from one read: y = norm(x) with one gamma and beta, y_2 with another, and back.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "backward.hpp"
#include "epilogue.hpp"
#include "forward.hpp"
#include "writer.hpp"

namespace simdnorm {

// --- forward: an epilogue, and a sink ---

/// The results of two epilogues.
template <class First, class Second> struct BothEpilogues {
  First first;
  Second second;

  template <class FirstAt, class SecondAt> struct AtColumn {
    FirstAt first;
    SecondAt second;
    template <class Value> SIMDNORM_INLINE auto operator()(const Value& xhat) const {
      return Two{rounded(first(xhat)), rounded(second(xhat))};
    }
  };
  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    return AtColumn<decltype(first.at(block, column)), decltype(second.at(block, column))>{
        first.at(block, column), second.at(block, column)};
  }
};
template <class First, class Second> BothEpilogues(First, Second) -> BothEpilogues<First, Second>;

/// Each of two results to its own sink.
template <class First, class Second> struct TwoSinks {
  First first;
  Second second;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE auto store(const Block& block, At<Lanes> at, const Two<Vector>& values) {
    first.store(block, at, values.first);
    second.store(block, at, values.second);
    return values;
  }
  template <class How> auto written(How how) const {
    return TwoSinks<Written<First, How>, Written<Second, How>>{first.written(how), second.written(how)};
  }
};

/// run(sink, writer) with what suits two outputs.
template <int Rows, class Blocks, class Read, class U, class V, class Run>
void with_two_sinks(RowShape shape, const Read& read, const Strided<U>& y, const Strided<V>& y_2,
                    const Run& run) {
  const TwoSinks<StoredRows<U>, StoredRows<V>> sink{{y}, {y_2}};
  with_lines_of_all<Rows, Blocks>(shape, read, sink, y, operands_of(y_2), run);
}

// --- backward: a source, a scale, and sums ---

/// Of two operands.
template <class First, class Second> struct TwoSources {
  First a;
  Second b;

  template <class Block, class Lanes> SIMDNORM_INLINE auto load(const Block& block, At<Lanes> at) const {
    return Two{a.load(block, at), b.load(block, at)};
  }
  template <class Block, class Lanes> SIMDNORM_INLINE auto last(const Block& block, At<Lanes> at) const {
    return load(block, at);
  }
  const TwoSources& first() const { return *this; }
  template <class Block, class Lanes, class Ahead>
  SIMDNORM_INLINE void fetch(const Block& block, At<Lanes> at, Ahead ahead) const {
    a.fetch(block, at, ahead);
    b.fetch(block, at, ahead);
  }
};

/// g = dy * gamma + dy_2 * gamma_2, as Casting takes gamma.
template <class First, class Second> struct SumOfScales {
  First first;
  Second second;

  template <class FirstAt, class SecondAt> struct AtColumn {
    FirstAt first;
    SecondAt second;
    template <class Vector> SIMDNORM_INLINE Vector operator()(const Two<Vector>& dy) const {
      return first(dy.first) + second(dy.second);
    }
  };
  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    return AtColumn<decltype(first.at(block, column)), decltype(second.at(block, column))>{
        first.at(block, column), second.at(block, column)};
  }
};
template <class First, class Second> SumOfScales(First, Second) -> SumOfScales<First, Second>;

/// A term of one of two dy.
template <class Term, bool Second> struct OfOneOfTwo {
  Term term;

  template <class Block, class Lanes, class Vector>
  SIMDNORM_INLINE Vector operator()(const Block& block, At<Lanes> at, const Two<Vector>& dy,
                                    Vector xhat) const {
    return term(block, at, Second ? dy.second : dy.first, xhat);
  }
};
template <bool Second, class... Term, class... G> auto of_one(const std::tuple<ColumnSum<Term, G>...>& sums) {
  return std::apply(
      [](const auto&... each) {
        return std::tuple{
            ColumnSum{OfOneOfTwo<std::decay_t<decltype(each.term)>, Second>{each.term}, each.sums}...};
      },
      sums);
}

// --- as arguments ---

/// As y of a forward. Made by two_norms.
template <class Y, class Gamma, class Beta, class Y2> struct TwoNorms {
  Y y;
  Gamma gamma_2;
  Beta beta_2;
  Y2 y_2;
};
template <class Y, class P, class B, class Y2> TwoNorms(Y, P, B, Y2) -> TwoNorms<Y, P, B, Y2>;

/// As dy of a backward. Made by two_gradients.
template <class Dy, class Gamma, class Dy2, class G> struct TwoGradients {
  Dy dy;
  Gamma gamma_2;
  Dy2 dy_2;
  G *dgamma_2, *dbeta_2;
};
template <class Dy, class P, class Dy2, class G>
TwoGradients(Dy, P, Dy2, G*, G*) -> TwoGradients<Dy, P, Dy2, G>;

/// As y of a forward: a second norm of the same rows, as where attention and MLP stand beside each other:
///   layer_norm_forward(shape, x, gamma, beta, epsilon, two_norms(y, gamma_2, beta_2, y_2), moments);
/// gamma_2, beta_2: as gamma and beta of the call, nullptr for 1 and 0; of RMSNorm beta_2 is nullptr. y, y_2: rows, a pointer or a
/// Strided each, of any types of numbers; one of the two may be x, where both hold types of one size.
/// The bits are those of two calls. One `moments` serves both.
/// Errors: those of the calls.
/// Source: Black et al., GPT-NeoX-20B (2022), of two norms before parallel sublayers.
template <class Y, class Gamma, class Beta, class Y2, class = element_t<Y>, class = element_t<Y2>>
TwoNorms<Y, Gamma, Beta, Y2> two_norms(Y y, Gamma gamma_2, Beta beta_2, Y2 y_2) {
  static_assert(!std::is_void_v<element_t<Y>> && !std::is_void_v<element_t<Y2>>,
                "simdnorm: two_norms: y and y_2 are rows of numbers, not of codes");
  return {y, gamma_2, beta_2, y_2};
}

/// As dy of a backward, of both norms together: dx is the gradient of x by both, with g = dy * gamma + dy_2 * gamma_2:
///   layer_norm_backward(shape, two_gradients(dy, gamma_2, dy_2, dgamma_2, dbeta_2), x, gamma, moments, dx, dgamma, dbeta);
/// dy, dy_2: rows of any types. dgamma_2, dbeta_2: (hidden), both float or both double, nullptr for one that is not wanted; of
/// RMSNorm dbeta_2 is nullptr. dx may be dy, dy_2 or x, where both hold types of one size. The workspace is one of
/// gradient_workspace_bytes<T>(shape, 4).
/// Each operation of g is rounded by itself, in T; all else is as for one norm. dgamma_2 and dbeta_2 have the bits of a call with
/// dy_2 alone.
/// Errors: those of the call.
template <class Dy, class Gamma, class Dy2, class G = float, class = element_t<Dy>, class = element_t<Dy2>>
TwoGradients<Dy, Gamma, Dy2, G> two_gradients(Dy dy, Gamma gamma_2, Dy2 dy_2, G* dgamma_2 = nullptr,
                                              G* dbeta_2 = nullptr) {
  static_assert(std::is_same_v<G, float> || std::is_same_v<G, double>,
                "simdnorm: dgamma_2 and dbeta_2 hold float or double");
  return {dy, gamma_2, dy_2, dgamma_2, dbeta_2};
}

template <class Y, class P, class B, class Y2> struct ComputedIn<TwoNorms<Y, P, B, Y2>> {
  using type = operands_t<Y, P, B, Y2>;
};
template <class Dy, class P, class Dy2, class G> struct ComputedIn<TwoGradients<Dy, P, Dy2, G>> {
  using type = operands_t<Dy, P, Dy2>;
};

// --- as rows: the same structs, of Strided ---

template <class Y, class P, class B, class Y2>
auto written_rows(RowShape shape, const TwoNorms<Y, P, B, Y2>& a) {
  return TwoNorms{written_rows(shape, a.y), a.gamma_2, a.beta_2, written_rows(shape, a.y_2)};
}
template <class Dy, class P, class Dy2, class G>
auto read_rows(RowShape shape, const TwoGradients<Dy, P, Dy2, G>& a) {
  return TwoGradients{read_rows(shape, a.dy), a.gamma_2, read_rows(shape, a.dy_2), a.dgamma_2, a.dbeta_2};
}
template <class Y, class P, class B, class Y2> auto operands_of(const TwoNorms<Y, P, B, Y2>& a) {
  return std::tuple_cat(operands_of(a.y), operands_of(a.y_2));
}
template <class Dy, class P, class Dy2, class G> auto operands_of(const TwoGradients<Dy, P, Dy2, G>& a) {
  return std::tuple_cat(operands_of(a.dy), operands_of(a.dy_2));
}
template <class Y, class P, class B, class Y2, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const TwoNorms<Y, P, B, Y2>& a,
                           const Then& then) {
  const element_or_t<P, float>* const gamma = a.gamma_2;
  const element_or_t<B, float>* const beta = a.beta_2;
  const Index hidden = check.shape().hidden;
  touch_all(check, then, name, a.y, "y_2", a.y_2, "gamma_2", read_array(gamma, hidden), "beta_2",
            read_array(beta, hidden));
}
template <class Dy, class P, class Dy2, class G, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const TwoGradients<Dy, P, Dy2, G>& a,
                           const Then& then) {
  const element_or_t<P, float>* const gamma = a.gamma_2;
  const Index hidden = check.shape().hidden;
  touch_all(check, then, name, a.dy, "dy_2", a.dy_2, "gamma_2", read_array(gamma, hidden), "dgamma_2",
            written_array(a.dgamma_2, hidden), "dbeta_2", written_array(a.dbeta_2, hidden));
}

// --- what the drivers ask for ---

/// dgamma_2 and dbeta_2.
template <class Dy, class P, class Dy2, class G>
inline constexpr Index column_sums<TwoGradients<Dy, P, Dy2, G>> = 2;

template <class Statistic, class Casting, class X, class Epilogue, class Y, class P, class B, class Y2>
auto epilogue_to(const TwoNorms<Y, P, B, Y2>& a, const Epilogue& first) {
  using T = typename Statistic::Scalar;
  static_assert(Statistic::centered || std::is_null_pointer_v<B>, "simdnorm: RMSNorm has no beta");
  const element_or_t<P, element_or_t<B, T>>* const gamma = a.gamma_2;
  const element_or_t<B, element_or_t<P, T>>* const beta = a.beta_2;
  return BothEpilogues{first, epilogue_of<Statistic, Casting, X>(gamma, beta)};
}
template <int Rows, class Blocks, class Read, class U, class P, class B, class V, class Run>
void with_sink(RowShape shape, const Read& read, const TwoNorms<Strided<U>, P, B, Strided<V>>& a,
               const Run& run) {
  with_two_sinks<Rows, Blocks>(shape, read, a.y, a.y_2, run);
}

template <class T, class U, class P, class V, class G>
TwoSources<LoadedRows<U>, LoadedRows<V>> source_of(
    const TwoGradients<Strided<const U>, P, Strided<const V>, G>& a) {
  return {{a.dy}, {a.dy_2}};
}
template <class Casting, class T, class P, class Dy, class P2, class Dy2, class G>
auto gradient_scale_of(const TwoGradients<Dy, P2, Dy2, G>& a, const P* gamma) {
  const element_or_t<P2, P>* const gamma_2 = a.gamma_2;
  return SumOfScales{Casting::gradient_scale(gamma), Casting::gradient_scale(gamma_2)};
}
template <class Statistic, class Xhat, class Dy, class P, class Dy2, class H, class G>
auto sums_of_gradients(const TwoGradients<Dy, P, Dy2, H>& a, G* dgamma, G* dbeta) {
  return std::tuple_cat(of_one<false>(sums_of_parameters<Statistic, Xhat>(dgamma, dbeta)),
                        of_one<true>(sums_of_parameters<Statistic, Xhat>(a.dgamma_2, a.dbeta_2)));
}

}  // namespace simdnorm
