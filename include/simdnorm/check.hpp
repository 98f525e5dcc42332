// The checks of the operators' arguments: before anything is written, with messages that say what is wrong.
#pragma once

#include <initializer_list>

#include "storage.hpp"

namespace simdnorm {

/// What an argument occupies, in bytes: pieces of `width` bytes, `column` apart; runs of them, of `run`
/// bytes, `outer` apart.
struct Region {
  const char* name;
  std::uintptr_t begin = 0, end = 0;  // end == begin: nothing
  Index width = 0, column = 0, run = 0, outer = 0;
};

/// The checks of one call.
class Check {
 public:
  Check(const char* operation, RowShape shape) : operation_(operation), shape_(shape) {
    if (shape.hidden < 1) stop(message() << "hidden must be at least 1");
    if (shape.rows < 0) stop(message() << "rows must not be negative");
    if (shape.after != 1 && (shape.after < 1 || shape.rows % shape.after != 0))
      stop(message() << "rows must be a multiple of after, which must be at least 1");
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
    const Index items = shape_.after == 1 ? shape_.rows : shape_.rows / shape_.after;
    Region region{name};
    region.width = shape_.after * size;
    region.column = operand.column * size;
    region.run = (shape_.hidden - 1) * region.column + region.width;
    region.outer = operand.outer * size;
    region.begin = reinterpret_cast<std::uintptr_t>(operand.data);
    region.end = region.begin + static_cast<std::uintptr_t>((items - 1) * region.outer + region.run);
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
    if (a.begin < b.end && b.begin < a.end && !interleaved(a, b)) overlap(a, b);
  }
  /// Neither touches the other, or both are the same rows.
  void apart_or_same(const Region& a, const Region& b) const {
    const bool same_outer = a.outer == b.outer || shape_.rows <= shape_.after;
    const bool same_column = a.column == b.column || shape_.hidden == 1;
    if (a.begin == b.begin && a.width == b.width && same_outer && same_column) return;
    apart(a, b);
  }

  /// The beginning of an error's words, and its end.
  SIMDNORM_COLD Message message() const { return Message() << operation_ << ": "; }
  [[noreturn]] SIMDNORM_COLD void stop(Message& words) const {
    words << " (rows " << shape_.rows << ", hidden " << shape_.hidden;
    if (shape_.after != 1) words << ", after " << shape_.after;
    (words << ")").fail();
  }

 private:
  [[noreturn]] SIMDNORM_COLD void overlap(const Region& a, const Region& b) const {
    const auto bytes = [](const Region& r) { return static_cast<Index>(r.end - r.begin); };
    stop(message() << a.name << " (" << bytes(a) << " bytes) and " << b.name << " (" << bytes(b)
                   << " bytes) overlap");
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
};

/// What is checked of an output besides its rows: check_apart(region) is asked of whatever else is written.
template <class Y, class CheckApart>
void check_output(const Check&, RowShape, const Strided<Y>&, const CheckApart& /*check_apart*/) {}

/// The checks of a forward operator: y may be x, nothing else that is written touches anything.
template <class X, class P, class B, class Y, class T>
void check_forward(const char* operation, RowShape shape, const Strided<const X>& x, const P* gamma,
                   const B* beta, T epsilon, const Y& y, const RowMoments<T>* moments) {
  const Check check(operation, shape);
  check.epsilon(epsilon);
  const Region x_region = check.rows("x", x);
  const Region y_region = check.written_rows("y", rows_of(y));
  const Region kept = Check::array("moments", moments, shape.rows);
  check.apart_or_same(y_region, x_region);
  check.apart(y_region, kept);
  check.apart(kept, x_region);
  const Region scale = Check::array("gamma", gamma, shape.hidden);
  const Region shift = Check::array("beta", beta, shape.hidden);
  for (const Region& read : {scale, shift}) {
    check.apart(y_region, read);
    check.apart(kept, read);
  }
  check_output(check, shape, y, [&](const Region& written) {
    for (const Region& other : {x_region, y_region, kept, scale, shift}) check.apart(written, other);
  });
}

/// The checks of a backward operator: dx may be dy or x, nothing else that is written touches anything.
template <class Dy, class X, class P, class T, class Dx, class G>
void check_backward(const char* operation, RowShape shape, const Strided<const Dy>& dy,
                    const Strided<const X>& x, const P* gamma, const RowMoments<T>* moments,
                    const Strided<Dx>& dx, const G* dgamma, const G* dbeta) {
  const Check check(operation, shape);
  if (moments == nullptr && shape.rows > 0) check.stop(check.message() << "moments is nullptr");
  const Region dy_region = check.rows("dy", dy);
  const Region x_region = check.rows("x", x);
  const Region dx_region = check.written_rows("dx", dx);
  const Region kept = Check::array("moments", moments, shape.rows);
  const Region scale = Check::array("gamma", gamma, shape.hidden);
  check.apart_or_same(dx_region, dy_region);
  check.apart_or_same(dx_region, x_region);
  check.apart(dx_region, kept);
  check.apart(dx_region, scale);
  const Region of_gamma = Check::array("dgamma", dgamma, shape.hidden);
  const Region of_beta = Check::array("dbeta", dbeta, shape.hidden);
  check.apart(of_gamma, of_beta);
  for (const Region& written : {of_gamma, of_beta})
    for (const Region& other : {dy_region, x_region, dx_region, kept, scale}) check.apart(written, other);
}

}  // namespace simdnorm
