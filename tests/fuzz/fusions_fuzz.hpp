// Fuzzes the fusions: what their programs (fusions_*.cpp, each compiled by itself, so that none takes long) share. An input says
// a shape, strides, values of any magnitude, which operand lies on which, as far as that is legal, an order of the tasks, and
// now and then one argument that is wrong.
//
// What is expected is the composition: calls of the plain operators, which the fuzzer `pointers` judges, on contiguous rows,
// and one scalar loop, or what a program says. All arrays must be as that says, bit for bit but for which NaN, and all other bytes
// as before; a wrong call is refused with nothing written. Arrays are allocated exactly, so that AddressSanitizer sees any access
// outside.
#pragma once

#include <simdnorm/dispatch/call.hpp>

#include <deque>
#include <tuple>

#include "fusion/dropout.hpp"
#include "fuzz/judge.hpp"
#include "fuzz/memory.hpp"
#include "support/streaming.hpp"

namespace fuzz {

using fusion::plus;
using fusion::times;
using simdnorm::RowShape;
using simdnorm::Strided;
using support::BFloat16;
using support::numbers;
using support::Places;
using support::value_of;

using Values = std::vector<float>;
using RowsOfMoments = std::vector<RowMoments<float>>;

// --- arrays, and what becomes of them ---

template <class U> bool same(const U& a, const U& b) {
  return std::memcmp(&a, &b, sizeof(U)) == 0 || (value_of(a) != value_of(a) && value_of(b) != value_of(b));
}
inline bool same(std::int8_t a, std::int8_t b) { return a == b; }
inline bool same(std::int32_t a, std::int32_t b) { return a == b; }
inline bool same(const RowMoments<float>& a, const RowMoments<float>& b) {
  return same(a.mean, b.mean) && same(a.mean_low, b.mean_low) && same(a.rstd, b.rstd) &&
         same(a.scale, b.scale);
}

template <class U> struct Held {
  const char* name;
  std::vector<U> memory, before, expected;
  bool is_written = false;

  void check(bool was_refused) const {
    const std::vector<U>& right = was_refused ? before : expected;
    for (std::size_t i = 0; i < memory.size(); ++i)
      if (!same(memory[i], right[i]))
        fail(name, was_refused ? " was written before an error, at " : " differs at ", i, in_words(i, right));
  }

 private:
  std::string in_words(std::size_t i, const std::vector<U>& right) const {
    std::ostringstream words;
    if constexpr (std::is_same_v<U, float> || std::is_same_v<U, BFloat16>)
      words << std::hexfloat << ": " << value_of(memory[i]) << " for " << value_of(right[i]);
    return words.str();
  }
};

class Arrays {
 public:
  template <class U> Held<U>& add(const char* name, const std::vector<U>& values) {
    auto& all = std::get<std::deque<Held<U>>>(held_);
    all.push_back({name, values, values, values});
    return all.back();
  }
  void check(bool was_refused) const {
    std::apply(
        [&](const auto&... all) {
          (std::for_each(all.begin(), all.end(), [&](const auto& one) { one.check(was_refused); }), ...);
        },
        held_);
  }

 private:
  std::tuple<std::deque<Held<float>>, std::deque<Held<BFloat16>>, std::deque<Held<std::int8_t>>,
             std::deque<Held<std::int32_t>>, std::deque<Held<RowMoments<float>>>>
      held_;
};

// Rows in such an array.
template <class U> struct Rows {
  Held<U>* held;
  Places at;
  Index offset;

  Strided<const U> read() const { return {held->memory.data() + offset, at.outer, at.column}; }
  Strided<U> write() const { return {held->memory.data() + offset, at.outer, at.column}; }
  // What it will hold: numbers (rows, hidden) of T, rounded to U.
  void expect(const Values& rows) const {
    const std::vector<U> stored = numbers<U>(rows);
    for (Index r = 0; r < at.shape.rows; ++r)
      for (Index c = 0; c < at.shape.hidden; ++c)
        held->expected[size(offset + at.of(r, c))] = stored[size(r * at.shape.hidden + c)];
  }
};

// An array (hidden), or nullptr.
struct Parameter {
  Held<float>* held = nullptr;
  Values values;  // empty for nullptr

  const float* read() const { return held == nullptr ? nullptr : held->memory.data(); }
  float* write() const { return held == nullptr ? nullptr : held->memory.data(); }
  float at(std::size_t column, float otherwise) const { return held == nullptr ? otherwise : values[column]; }
  void expect(const Values& sums) const {
    if (held != nullptr) held->expected = sums;
  }
};

// --- a call ---

// Element by element.
template <class F> Values made(std::size_t count, const F& f) {
  Values out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = f(i);
  return out;
}

class Case {
 public:
  Input& input;
  RowShape shape;
  Index column;  // of all operands: the order of dgamma's sums hangs on whether it is 1
  float epsilon;

  explicit Case(Input& in, const char* name, bool may_lie_side_by_side = true) : input(in) {
    const Index after = may_lie_side_by_side && in.between(0, 3) == 0 ? in.size(2, 40) : 1;
    const Index items = after == 1 ? in.size(1, 24) : in.between(1, 3);
    shape = {after * items, in.size(1, std::max<Index>(2, 1500 / (after * items))), after};
    column = after + (in.coin() ? 0 : in.between(0, 2));
    epsilon = in.epsilon<float>();
    if (!(epsilon >= 0)) epsilon = 1e-5F;
    call_in_words = std::string(name) + " rows " + std::to_string(shape.rows) + " hidden " +
                    std::to_string(shape.hidden) + " after " + std::to_string(after) + " column " +
                    std::to_string(column) + " epsilon " + std::to_string(epsilon);
    tasks_ = any_order(in, call_in_words);
  }
  std::size_t count() const { return size(shape.rows * shape.hidden); }
  std::size_t column_of(std::size_t i) const { return i % size(shape.hidden); }
  std::size_t row_of(std::size_t i) const { return i / size(shape.hidden); }
  simdnorm::AnyExecutor executor() const { return simdnorm::any_executor(tasks_); }

  // --- operands ---

  template <class U = float> std::vector<U> rows() { return rows_of<U>(shape.rows); }
  template <class U = float> std::vector<U> rows_of(Index count_of_rows) {
    return numbers<U>(input.rows<float>(count_of_rows, shape.hidden));
  }
  Places places(Index count_of_rows) {
    const Index run = (shape.hidden - 1) * column + shape.after;
    return {
        {count_of_rows, shape.hidden, shape.after}, run + (input.coin() ? 0 : input.between(0, 9)), column};
  }
  template <class U> Rows<U> reads(const char* name, const std::vector<U>& values) {
    return rows_at<U>(name, places(static_cast<Index>(values.size()) / shape.hidden), values);
  }
  // Rows that are written: in an array of their own, or on one of those that are read.
  template <class U = float> Rows<U> writes(const char* name, std::initializer_list<Rows<U>> on = {}) {
    if (on.size() > 0 && input.coin()) {
      const Rows<U>& other = on.begin()[input.between(0, static_cast<Index>(on.size()) - 1)];
      if (!other.held->is_written) {
        call_in_words += std::string(", ") + name + " on " + other.held->name;
        other.held->is_written = true;
        return other;
      }
    }
    Rows<U> out = rows_at<U>(name, places(shape.rows), {});
    out.held->is_written = true;
    return out;
  }
  template <class U> const U* array(const char* name, const std::vector<U>& values) {
    return arrays_.add(name, values).memory.data();
  }
  template <class U> Held<U>& written(const char* name, const std::vector<U>& values) {
    return arrays_.add(name, values);
  }
  Parameter parameter(const char* name) {
    if (input.between(0, 3) == 0) return {};
    const Values values = rows_of(1);
    return {&arrays_.add(name, values), values};
  }
  // A gradient of one, which holds something before.
  Parameter gradient(const char* name) {
    if (input.between(0, 2) == 0) return {};
    const Values start(size(shape.hidden), input.coin() ? 1.25F : input.number<float>());
    return {&arrays_.add(name, start), start};
  }
  Held<RowMoments<float>>& moments(const RowsOfMoments& expected) {
    Held<RowMoments<float>>& held =
        arrays_.add("moments", RowsOfMoments(expected.size(), {1.5F, 1.5F, 1.5F, 1.5F}));
    held.expected = expected;
    return held;
  }

  // --- arguments that are wrong, one of which may be made so ---

  void fault(const std::string& name, const std::function<void()>& spoil) {
    faults_.emplace_back(name, spoil);
  }
  template <class U> void missing(const char* name, Strided<U>& rows) {
    fault(std::string(name) + " missing", [&rows] { rows.data = nullptr; });
  }
  // Where two results would share places.
  template <class U, class V> void onto(const char* name, Strided<U>& a, const Strided<V>& b) {
    fault(std::string(name) + " on a result",
          [&a, &b] { a.data = reinterpret_cast<U*>(const_cast<std::remove_const_t<V>*>(b.data)); });
  }
  template <class P, class U> void array_onto(const char* name, P*& array, const Strided<U>& result) {
    fault(std::string(name) + " on a result", [&array, &result] {
      array = reinterpret_cast<P*>(const_cast<std::remove_const_t<U>*>(result.data));
    });
  }
  void wrong_shape() {
    fault("hidden 0", [this] { shape.hidden = 0; });
    fault("rows negative", [this] { shape.rows = -1; });
  }
  void wrong_epsilon() {
    fault("epsilon negative", [this] { epsilon = -1e-30F; });
  }

  // The call; false where it was rightly refused.
  template <class Call> bool run(const Call& call) {
    bool is_wrong = false;
    if (!faults_.empty() && input.between(0, 7) == 0) {
      const auto& [name, spoil] = faults_[size(input.between(0, static_cast<Index>(faults_.size()) - 1))];
      call_in_words += ", wrong: " + name;
      is_wrong = true;
      spoil();
    }
    bool was_refused;
    {
      const support::WithStreaming scope(shape.rows % 2 == 0 ? support::Streaming::always
                                                             : support::Streaming::never);
      was_refused = refused(call);
    }
    if (was_refused != is_wrong) fail(was_refused ? "refused" : "not refused");
    arrays_.check(was_refused);
    return !was_refused;
  }

 private:
  template <class U> Rows<U> rows_at(const char* name, const Places& at, const std::vector<U>& values) {
    const Index offset = input.between(0, 3);
    std::vector<U> memory = support::unwritten_array<U>(offset + at.extent());
    for (std::size_t i = 0; i < values.size(); ++i)
      memory[size(offset + at.of(static_cast<Index>(row_of(i)), static_cast<Index>(column_of(i))))] =
          values[i];
    return {&arrays_.add(name, memory), at, offset};
  }

  support::Executor tasks_;
  Arrays arrays_;
  std::vector<std::pair<std::string, std::function<void()>>> faults_;
};

// --- what is expected: plain calls ---

struct PlainForward {
  Values y;
  RowsOfMoments moments;
};
// Of contiguous rows; without gamma and beta where these are empty.
inline PlainForward plain_forward(Norm norm, RowShape shape, const Values& x, const Values& gamma,
                                  const Values& beta, float epsilon) {
  PlainForward out{Values(x.size()), support::no_moments<float>(shape.rows)};
  const RowShape rows{shape.rows, shape.hidden};
  support::forward(norm, rows, support::packed(rows, x.data()), support::or_null(gamma),
                   norm == Norm::layer ? support::or_null(beta) : nullptr, epsilon,
                   support::packed(rows, out.y.data()), out.moments.data());
  return out;
}

struct PlainBackward {
  Values dx, dgamma, dbeta;
};
// `column`: as of the call; dgamma and dbeta hold something before.
inline PlainBackward plain_backward(Norm norm, RowShape shape, Index column, const Values& dy,
                                    const Values& x, const Values& gamma, const RowsOfMoments& moments,
                                    const Values& dgamma, const Values& dbeta, bool accumulate) {
  const Places at{shape, (shape.hidden - 1) * column + shape.after, column};
  const Values dy_at = at.spread(dy), x_at = at.spread(x);
  Values dx_at(dy_at.size());
  PlainBackward out{{}, dgamma, dbeta};
  const bool layer = norm == Norm::layer;
  support::backward(norm, shape, at.read(dy_at), at.read(x_at), support::or_null(gamma), moments.data(),
                    at.write(dx_at), out.dgamma.empty() ? nullptr : out.dgamma.data(),
                    layer && !out.dbeta.empty() ? out.dbeta.data() : nullptr, {accumulate, nullptr});
  out.dx = at.gather(dx_at);
  return out;
}
// The sums of rows as dbias and dlayer_scale are summed: as dbeta is.
inline Values plain_sums(const Case& c, const Values& rows, const Values& start, bool accumulate) {
  const RowsOfMoments ones(size(c.shape.rows), {0, 0, 1, 1});
  return plain_backward(Norm::layer, c.shape, c.column, rows, rows, {}, ones, {}, start, accumulate).dbeta;
}

// --- the programs ---

void fuzz_sums(Input& input);
void fuzz_gates(Input& input);
void fuzz_two_norms(Input& input);
void fuzz_rotary(Input& input);
void fuzz_modulated(Input& input);
void fuzz_gathered(Input& input);
void fuzz_from_output(Input& input);
void fuzz_split(Input& input);
void fuzz_results(Input& input);
void fuzz_statistics(Input& input);
void fuzz_double_backward(Input& input);

}  // namespace fuzz
