// The checks of the operators' arguments: before anything is written, with messages that say what is wrong.
#pragma once

#include <initializer_list>

#include "operands.hpp"

namespace simdnorm {

/// What an argument occupies, in bytes: pieces of `width` bytes, `column` apart; runs of them, of `run`
/// bytes, `outer` apart.
struct Region {
  const char* name;
  std::uintptr_t begin = 0, end = 0;  // end == begin: nothing
  Index width = 0, column = 0, run = 0, outer = 0;
  const void* numbers = nullptr;  // of rows that are chosen from these
};

/// The checks of one call.
class Check {
 public:
  Check(const char* operation, RowShape shape) : operation_(operation), shape_(shape), items_(shape.rows) {
    if (shape.hidden < 1) stop(message() << "hidden must be at least 1");
    if (shape.rows < 0) stop(message() << "rows must not be negative");
    if (shape.after != 1) {
      if (shape.after < 1 || shape.rows % shape.after != 0)
        stop(message() << "rows must be a multiple of after, which must be at least 1");
      items_ = shape.rows / shape.after;
    }
  }

  template <class T> void epsilon(T epsilon) const {
    if (!(epsilon >= T(0)))
      stop(message() << "epsilon must be at least 0 but is " << static_cast<double>(epsilon));
  }

  /// The rows of an operand, which must be there unless there are no rows.
  template <class T> Region rows(const char* name, const Strided<T>& operand) const {
    if (shape_.rows == 0) return {name};
    if (operand.data == nullptr) stop(message() << name << " is nullptr");
    if (operand.column < 0 || operand.outer < 0) stop(message() << name << " has a negative stride");
    const Index size = static_cast<Index>(sizeof(T));
    Region region{name};
    region.width = shape_.after * size;
    region.column = operand.column * size;
    region.run = (shape_.hidden - 1) * region.column + region.width;
    region.outer = operand.outer * size;
    region.begin = reinterpret_cast<std::uintptr_t>(operand.data);
    region.end = region.begin + static_cast<std::uintptr_t>((items_ - 1) * region.outer + region.run);
    return region;
  }
  /// The rows of an operand that is written: no two of its elements may share a place.
  template <class T> Region written_rows(const char* name, const Strided<T>& operand) const {
    const Region region = rows(name, operand);
    const bool columns_apart = shape_.hidden == 1 || region.column >= region.width;
    const bool items_apart = shape_.rows <= shape_.after || region.outer >= region.run;
    if (region.begin != region.end && !(columns_apart && items_apart))
      stop(message() << "elements of " << name << " share a place: outer " << operand.outer << ", column "
                     << operand.column);
    return region;
  }
  /// `count` elements in a row; nullptr is nothing.
  template <class T> static Region array(const char* name, const T* data, Index count) {
    Region region{name};
    region.begin = reinterpret_cast<std::uintptr_t>(data);
    region.end =
        data == nullptr ? region.begin : region.begin + static_cast<std::uintptr_t>(count) * sizeof(T);
    return region;
  }

  /// Neither touches the other.
  void apart(const Region& a, const Region& b) const {
    if (a.begin < b.end && b.begin < a.end && !interleaved(a, b))
      overlap(a.name, bytes_of(a), b.name, bytes_of(b));
  }
  /// Neither touches the other, or both are the same rows.
  void apart_or_same(const Region& a, const Region& b) const {
    const bool same_outer = a.outer == b.outer || (shape_.rows <= shape_.after && a.numbers == nullptr);
    const bool same_column = a.column == b.column || shape_.hidden == 1;
    if (a.begin == b.begin && a.width == b.width && same_outer && same_column && a.numbers == b.numbers)
      return;
    apart(a, b);
  }

  /// The beginning of an error's words, and its end.
  SIMDNORM_COLD Message message() const { return Message() << operation_ << ": "; }
  RowShape shape() const { return shape_; }
  /// The same call's check of an operand that has a shape of its own.
  Check of_shape(RowShape shape) const { return {operation_, shape}; }
  [[noreturn]] SIMDNORM_COLD void stop(Message& words) const {
    words << " (rows " << shape_.rows << ", hidden " << shape_.hidden;
    if (shape_.after != 1) words << ", after " << shape_.after;
    (words << ")").fail();
  }

 private:
  static Index bytes_of(const Region& a) { return static_cast<Index>(a.end - a.begin); }
  /// (Given the regions' numbers, and not where they lie, so that they stay in registers.)
  [[noreturn]] SIMDNORM_COLD void overlap(const char* a, Index a_bytes, const char* b, Index b_bytes) const {
    stop(message() << a << " (" << a_bytes << " bytes) and " << b << " (" << b_bytes << " bytes) overlap");
  }
  /// Both repeat with one period and their pieces lie beside each other: the halves of a wider matrix, for
  /// example.
  static bool interleaved(const Region& a, const Region& b) {
    const auto beside = [&](Index period, Index a_width, Index b_width) {
      if (period <= 0) return false;
      const Index distance = static_cast<Index>(b.begin - a.begin) % period;
      const Index forward = distance < 0 ? distance + period : distance;
      return forward >= a_width && forward + b_width <= period;
    };
    if (a.outer == b.outer && beside(a.outer, a.run, b.run)) return true;
    return a.column == b.column && a.column > 0 && a.outer % a.column == 0 && b.outer % a.column == 0 &&
           beside(a.column, a.width, b.width);
  }

  const char* operation_;
  RowShape shape_;
  Index items_;  // runs of `after` rows
};

// --- all that a call touches ---

/// How a region is used. Rows that are written may be rows that are read, place for place; nothing else that is written may
/// overlap anything.
enum class Use { reads, reads_rows, writes, writes_rows };
template <Use How> inline constexpr bool is_written = How == Use::writes || How == Use::writes_rows;
template <Use How> struct Touched { Region region; };

template <Use A, Use B>
SIMDNORM_INLINE void check_pair(const Check& check, const Touched<A>& a, const Touched<B>& b) {
  if constexpr (A == Use::writes_rows && B == Use::reads_rows) {
    check.apart_or_same(a.region, b.region);
  } else if constexpr (A == Use::reads_rows && B == Use::writes_rows) {
    check.apart_or_same(b.region, a.region);
  } else if constexpr (is_written<B>) {
    check.apart(b.region, a.region);
  } else if constexpr (is_written<A>) {
    check.apart(a.region, b.region);
  }
}
inline void check_apart(const Check&) {}
/// Each two of them.
template <class First, class... Others>
SIMDNORM_INLINE void check_apart(const Check& check, const First& first, const Others&... others) {
  (check_pair(check, first, others), ...);
  check_apart(check, others...);
}

/// An argument that is an array of so many numbers, or records.
template <Use How, class T> struct ArrayOf {
  const T* data;
  Index count;
};
template <class T> ArrayOf<Use::reads, T> read_array(const T* data, Index count) { return {data, count}; }
template <class T> ArrayOf<Use::writes, T> written_array(const T* data, Index count) { return {data, count}; }

/// then(...) with what an argument is made of, as Touched. (Of other arguments than rows as they are: headers of
/// kernel/, such as quantize.hpp.)
template <class Then> void touch(const Check&, const char*, std::nullptr_t, const Then& then) { then(); }
template <class X, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Strided<const X>& x,
                           const Then& then) {
  then(Touched<Use::reads_rows>{check.rows(name, x)});
}
template <class Y, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Strided<Y>& y, const Then& then) {
  then(Touched<Use::writes_rows>{check.written_rows(name, y)});
}
template <Use How, class T, class Then>
SIMDNORM_INLINE void touch(const Check&, const char* name, const ArrayOf<How, T>& array, const Then& then) {
  then(Touched<How>{Check::array(name, array.data, array.count)});
}

/// An argument that is read when what is written is no longer what it was: it is not in place.
template <class X> struct StillRead { const X& x; };
template <class X, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const StillRead<X>& a, const Then& then) {
  touch(check, name, a.x,
        [&](const auto&... touched) SIMDNORM_INLINE_LAMBDA { then(Touched<Use::reads>{touched.region}...); });
}
/// x of a backward beside such a dy. (Of gates: kernel/gated.hpp.)
template <class Dy, class X> const X& beside(const Dy& /*dy*/, const X& x) { return x; }

template <class Then> SIMDNORM_INLINE void touch_all(const Check&, const Then& then) { then(); }
/// The same of several arguments, each behind its name.
template <class Then, class First, class... Rest>
SIMDNORM_INLINE void touch_all(const Check& check, const Then& then, const char* name, const First& first,
                               const Rest&... rest) {
  touch(check, name, first, [&](const auto&... touched) SIMDNORM_INLINE_LAMBDA {
    touch_all(
        check, [&](const auto&... more) SIMDNORM_INLINE_LAMBDA { then(touched..., more...); }, rest...);
  });
}
template <class... Arguments>
SIMDNORM_INLINE void check_all_apart(const Check& check, const Arguments&... arguments) {
  touch_all(
      check, [&](const auto&... touched) SIMDNORM_INLINE_LAMBDA { check_apart(check, touched...); },
      arguments...);
}

/// The checks of a forward operator; `more`: what else it reads or writes, each behind its name.
template <class X, class P, class B, class Y, class T, class... More>
void check_forward(const char* operation, RowShape shape, const X& x, const P* gamma, const B* beta,
                   T epsilon, const Y& y, const RowMoments<T>* moments, const More&... more) {
  const Check check(operation, shape);
  check.epsilon(epsilon);
  check_all_apart(check, "x", x, "y", y, "moments", written_array(moments, shape.rows), "gamma",
                  read_array(gamma, shape.hidden), "beta", read_array(beta, shape.hidden), more...);
}

/// The checks of a backward operator.
template <class Dy, class X, class P, class T, class Dx, class G, class... More>
void check_backward(const char* operation, RowShape shape, const Dy& dy, const X& x, const P* gamma,
                    const RowMoments<T>* moments, const Dx& dx, const G* dgamma, const G* dbeta,
                    const More&... more) {
  const Check check(operation, shape);
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  check_all_apart(check, "dy", dy, "x", beside(dy, x), "dx", dx, "moments", read_array(moments, shape.rows),
                  "gamma", read_array(gamma, shape.hidden), "dgamma", written_array(dgamma, shape.hidden),
                  "dbeta", written_array(dbeta, shape.hidden), more...);
}

}  // namespace simdnorm
