// Fuzzes the pointer layer: forward and backward of both norms, float and double, on operands with strides,
// in place or in turns in one buffer, and with wrong arguments.
//
// Each input is run twice: as contiguous rows, which are judged by the oracle, and as the input says, long rows past
// the caches where their number is even, which must give the same bits at the places of the output and leave every
// other byte as it was. Memory is allocated exactly, and gaps between rows are poisoned, so that AddressSanitizer sees
// any access outside.
#include "fuzz/judge.hpp"
#include "fuzz/memory.hpp"
#include "support/streaming.hpp"

namespace fuzz {
namespace {

using simdnorm::RowShape;
using simdnorm::Strided;
using support::Executor;
using support::Layout;

// An operand as a call takes it.
template <class T> struct Placed : Operand<T> {
  Index offset = 0;
  Layout<T> layout{};

  Placed(std::vector<T>& cells_of, Index first, const Layout<T>& l) : offset(first), layout(l) {
    this->memory = &cells_of;
    for (Index r = 0; r < l.shape.rows; ++r)
      for (Index c = 0; c < l.shape.hidden; ++c) this->cells.push_back(size(first + l.position(r, c)));
  }
  Strided<T> strided() const { return {this->memory->data() + offset, layout.outer, layout.column}; }
  bool is(const Placed& other) const {
    return this->memory == other.memory && offset == other.offset && layout.outer == other.layout.outer &&
           layout.column == other.layout.column;
  }
  // In the same memory, but not in place.
  bool is_near(const Placed& other) const { return this->memory == other.memory && !is(other); }
  // One row begins before another ends.
  bool interleaves() const {
    return layout.shape.rows > layout.shape.after &&
           layout.outer < (layout.shape.hidden - 1) * layout.column + layout.shape.after;
  }
  std::string in_words() const {
    return "(outer " + std::to_string(layout.outer) + " column " + std::to_string(layout.column) +
           " offset " + std::to_string(offset) + ")";
  }
};

// Strides of an operand; one that is written has room for every element.
template <class T> Layout<T> strides(Input& input, RowShape shape, bool written) {
  const Index kind = input.between(0, written ? 2 : 3);
  if (kind == 3) return {shape, input.between(0, 9), input.between(0, 3)};  // broadcast, overlapping
  const Index column = shape.after + (kind == 2 ? input.between(0, 4) : 0);
  const Index run = (shape.hidden - 1) * column + shape.after;
  return {shape, run + (kind == 0 ? 0 : input.between(0, 9)), column};
}

// The operand in memory of its own, a few elements from an aligned address.
template <class T> Placed<T> place(Input& input, const Layout<T>& layout, std::vector<T>& memory) {
  const Index offset = input.between(0, 7);
  allocate(memory, size(offset + layout.extent()));
  return {memory, offset, layout};
}

// Where an output lies: in memory of its own, on an input, or in an input's memory beside it.
template <class T>
Placed<T> place_output(Input& input, RowShape shape, const std::vector<const Placed<T>*>& inputs,
                       std::vector<T>& memory) {
  const Index kind = input.between(0, 5);
  if (kind < 3) return place(input, strides<T>(input, shape, true), memory);
  const Placed<T>& other = *inputs[size(input.between(0, static_cast<Index>(inputs.size()) - 1))];
  if (kind == 3) return other;
  const Layout<T> layout = input.coin() ? strides<T>(input, shape, true) : other.layout;
  const Placed<T> output(*other.memory,
                         input.between(0, other.offset + 9 + (input.coin() ? shape.hidden : 0)), layout);
  const std::size_t end = size(output.offset + layout.extent());
  if (other.memory->size() < end) other.memory->resize(end);
  other.memory->shrink_to_fit();
  return output;
}

// A learned array or a gradient of one, a few elements from an aligned address.
template <class T> struct Array {
  std::vector<T> memory;
  Index offset = 0;
  bool there = false;

  Array() = default;
  Array(Input& input, const std::vector<T>& values)
      : memory(values), offset(input.between(0, 7)), there(!values.empty()) {
    memory.insert(memory.begin(), size(offset), T(0));
    memory.shrink_to_fit();
  }
  T* data() { return there ? memory.data() + offset : nullptr; }
  std::vector<T> values() const { return {memory.begin() + offset, memory.end()}; }
};

// --- calls ---

constexpr const char* names_of_faults[] = {"none",
                                           "hidden 0",
                                           "hidden negative",
                                           "rows negative",
                                           "after 0",
                                           "after no divisor",
                                           "epsilon negative",
                                           "epsilon NaN",
                                           "x missing",
                                           "output missing",
                                           "dy missing",
                                           "moments missing",
                                           "negative stride",
                                           "output folded",
                                           "array on output",
                                           "array on array",
                                           "moments on output"};
enum class Fault {
  none,
  hidden_0,
  hidden_negative,
  rows_negative,
  after_0,
  after_no_divisor,
  epsilon_negative,
  epsilon_nan,
  x_missing,
  output_missing,
  dy_missing,
  moments_missing,
  negative_stride,
  output_folded,
  array_on_output,
  array_on_array,
  moments_on_output
};

template <class T> class Run {
 public:
  explicit Run(Input& input) : input_(input), norm_(input.coin() ? Norm::layer : Norm::rms) {
    // Rows side by side, or one by one.
    const Index after = input.between(0, 2) == 0 ? input.size(1, 140) : 1;
    const Index items = after == 1 ? input.size(0, 70) : input.between(0, 3);
    const Index limit = std::max<Index>(1, 6000 / std::max<Index>(1, after * items));
    shape_ = {after * items, input.size(1, limit), after};
    p_.rows = shape_.rows;
    p_.hidden = shape_.hidden;
    p_.epsilon = input.epsilon<T>();
    if (input.between(0, 3) == 0) fault_ = static_cast<Fault>(input.between(1, 16));
    has_gamma_ = input.coin();
    has_beta_ = norm_ == Norm::layer && input.coin();
    wants_moments_ = input.coin();
    words_ = std::string(oracle::name(norm_)) + (sizeof(T) == 4 ? "<float>" : "<double>") + " rows " +
             std::to_string(shape_.rows) + " hidden " + std::to_string(shape_.hidden) + " after " +
             std::to_string(after) + " epsilon " + std::to_string(static_cast<double>(p_.epsilon)) +
             (has_gamma_ ? " gamma" : "") + (has_beta_ ? " beta" : "");
    if (fault_ != Fault::none) words_ += std::string(", fault: ") + names_of_faults[size(Index(fault_))];
  }

  void operator()() {
    std::vector<T> x_memory, dy_memory, y_memory, dx_memory;
    p_.x = input_.rows<T>(p_.rows, p_.hidden);
    const Placed<T> x = place(input_, strides<T>(input_, shape_, false), x_memory);
    x.write(p_.x, x_memory);
    Placed<T> y = place_output(input_, shape_, {&x}, y_memory);
    p_.x = x.read();  // of rows that overlap, what is left
    if (has_gamma_) p_.gamma = input_.rows<T>(1, p_.hidden);
    if (has_beta_) p_.beta = input_.rows<T>(1, p_.hidden);
    call_in_words = words_ + ": forward of " + x.in_words() + " to " + y.in_words();

    const bool right_epsilon = p_.epsilon >= T(0);
    if (right_epsilon) {
      flat_ = support::run_forward(norm_, p_);
      Judge<T>(norm_, p_).forward(flat_.y, flat_.moments);
    }
    forward(x, y);
    if (!right_epsilon) return;

    // Backward of the same rows.
    x_memory.clear();
    const Placed<T> x_again = place(input_, strides<T>(input_, shape_, false), x_memory);
    const Placed<T> dy = place(input_, strides<T>(input_, shape_, false), dy_memory);
    x_again.write(p_.x, x_memory);
    p_.x = x_again.read();
    p_.dy = input_.rows<T>(p_.rows, p_.hidden);
    dy.write(p_.dy, dy_memory);
    const Placed<T> dx = place_output(input_, shape_, {&dy, &x_again}, dx_memory);
    p_.x = x_again.read();
    p_.dy = dy.read();
    call_in_words =
        words_ + ": backward of " + dy.in_words() + " and " + x_again.in_words() + " to " + dx.in_words();
    flat_ = support::run_forward(norm_, p_);
    backward(dy, x_again, dx);
  }

 private:
  void forward(const Placed<T>& x, const Placed<T>& y) {
    Array<T> gamma(input_, p_.gamma), beta(input_, p_.beta);
    std::vector<RowMoments<T>> moments(wants_moments_ ? size(p_.rows) : 0, RowMoments<T>{3, 3, 3, 3});
    const Executor executor = any_order(input_, call_in_words);
    RowShape shape = shape_;
    Strided<T> x_rows = x.strided(), y_rows = y.strided();
    T epsilon = p_.epsilon;
    const T* gamma_data = gamma.data();
    RowMoments<T>* kept = wants_moments_ && p_.rows > 0 ? moments.data() : nullptr;

    const bool has_fault =
        spoil(shape, y_rows, epsilon, x_rows, &gamma_data, nullptr, nullptr, &kept, nullptr);
    const bool must_fail = has_fault || !(epsilon >= T(0)) || clash(y, {&x});
    // Of outputs whose rows take turns, with each other or with those of an input, only some are let through.
    const bool may_fail = must_fail || y.interleaves() || y.is_near(x);
    std::vector<T> x_cells = *x.memory, y_cells = *y.memory;
    const std::vector<T> gamma_before = gamma.memory, beta_before = beta.memory;
    const std::vector<RowMoments<T>> moments_before = moments;
    bool was_refused;
    {
      const Poison<T> x_gaps(*x.memory, {&x, &y}), y_gaps(*y.memory, {&x, &y});
      const support::WithStreaming scope(streaming());
      was_refused = refused([&] {
        support::forward(norm_, shape, x_rows, gamma_data, beta.data(), epsilon, y_rows, kept, executor);
      });
    }
    if (was_refused ? !may_fail : must_fail) fail(was_refused ? "refused" : "not refused");
    if (!was_refused) {
      expect_rows(y, p_, flat_.y, y_cells);
      if (x.memory == y.memory) x_cells = y_cells;
    }
    expect_same("memory of x", *x.memory, x_cells);
    expect_same("memory of y", *y.memory, y_cells);
    expect_same("gamma", gamma.memory, gamma_before);
    expect_same("beta", beta.memory, beta_before);
    expect_same("moments", moments, was_refused || kept == nullptr ? moments_before : flat_.moments);
  }

  void backward(const Placed<T>& dy, const Placed<T>& x, const Placed<T>& dx) {
    const bool wants_dgamma = input_.coin(), wants_dbeta = norm_ == Norm::layer && input_.coin();
    support::Options options{input_.coin(), nullptr};
    const bool own_workspace = input_.coin();
    const std::vector<T> start(size(p_.hidden), input_.number<T>());
    Array<T> gamma(input_, p_.gamma), dgamma(input_, wants_dgamma ? start : std::vector<T>()),
        dbeta(input_, wants_dbeta ? start : std::vector<T>());
    std::vector<RowMoments<T>> moments = flat_.moments;
    const std::vector<double> empty(
        size(support::LayerNormOperator<T>::workspace_bytes(shape_) / static_cast<Index>(sizeof(double))),
        3.0);
    std::vector<double> workspace = empty;
    if (own_workspace) options.workspace = workspace.data();
    const Executor executor = any_order(input_, call_in_words);
    call_in_words += std::string(wants_dgamma ? ", dgamma" : "") + (wants_dbeta ? ", dbeta" : "") +
                     (options.accumulate ? ", accumulate" : "") + (own_workspace ? ", workspace" : "");

    // The same as contiguous rows, and the parameter gradients in the order of their sums.
    const support::Backward<T> flat = support::run_backward(norm_, p_, flat_.moments);
    const Judge<T> judge(norm_, p_);
    judge.backward(flat.dx);
    support::Backward<T> plain =
        sums_of_this_kind(dy, x, dx, wants_dgamma, wants_dbeta, start, options.accumulate);
    judge.parameters(options.accumulate ? start : std::vector<T>(), plain.dgamma, plain.dbeta);

    RowShape shape = shape_;
    Strided<T> dy_rows = dy.strided(), x_rows = x.strided(), dx_rows = dx.strided();
    const T* gamma_data = gamma.data();
    T *dgamma_data = dgamma.data(), *dbeta_data = dbeta.data(), right_epsilon = 0;
    RowMoments<T>* kept = moments.data();
    const bool has_fault =
        spoil(shape, dx_rows, right_epsilon, x_rows, &gamma_data, &dgamma_data, &dbeta_data, &kept, &dy_rows);
    const bool must_fail = has_fault || clash(dx, {&dy, &x});
    const bool may_fail = must_fail || dx.interleaves() || dx.is_near(dy) || dx.is_near(x);
    std::vector<T> dy_cells = *dy.memory, x_cells = *x.memory, dx_cells = *dx.memory;
    const std::vector<T> gamma_before = gamma.memory, dgamma_before = dgamma.memory,
                         dbeta_before = dbeta.memory;
    bool was_refused;
    {
      const Poison<T> dy_gaps(*dy.memory, {&dy, &dx}), x_gaps(*x.memory, {&x, &dx}),
          dx_gaps(*dx.memory, {&dy, &x, &dx});
      const support::WithStreaming scope(streaming());
      was_refused = refused([&] {
        support::backward(norm_, shape, dy_rows, x_rows, gamma_data, kept, dx_rows, dgamma_data, dbeta_data,
                          options, executor);
      });
    }
    if (was_refused ? !may_fail : must_fail) fail(was_refused ? "refused" : "not refused");
    if (!was_refused) {
      expect_rows(dx, p_, flat.dx, dx_cells);
      if (dy.memory == dx.memory) dy_cells = dx_cells;
      if (x.memory == dx.memory) x_cells = dx_cells;
      if (wants_dgamma) expect_same("dgamma", dgamma.values(), plain.dgamma);
      if (wants_dbeta) expect_same("dbeta", dbeta.values(), plain.dbeta);
    } else {
      expect_same("dgamma", dgamma.memory, dgamma_before);
      expect_same("dbeta", dbeta.memory, dbeta_before);
      if (workspace != empty) fail("a workspace was written before an error");
    }
    expect_same("memory of dy", *dy.memory, dy_cells);
    expect_same("memory of x", *x.memory, x_cells);
    expect_same("memory of dx", *dx.memory, dx_cells);
    expect_same("gamma", gamma.memory, gamma_before);
    expect_same("moments", moments, flat_.moments);
  }

  support::Streaming streaming() const {
    return p_.rows % 2 == 0 ? support::Streaming::always : support::Streaming::never;
  }

  // dgamma and dbeta by the plainest call whose sums have the same order: it hangs on the shape, and on
  // whether the normalized axis lies contiguous in all operands.
  support::Backward<T> sums_of_this_kind(const Placed<T>& dy, const Placed<T>& x, const Placed<T>& dx,
                                         bool wants_dgamma, bool wants_dbeta, const std::vector<T>& start,
                                         bool accumulate) const {
    const bool along =
        shape_.after == 1 && dy.layout.column == 1 && x.layout.column == 1 && dx.layout.column == 1;
    const Index column = shape_.after == 1 && !along ? 2 : shape_.after;
    const Layout<T> layout{shape_, p_.hidden * column, column};
    const std::vector<T> dy_rows = layout.spread(p_.dy), x_rows = layout.spread(p_.x);
    std::vector<T> dx_rows(dy_rows.size());
    support::Backward<T> out;
    if (wants_dgamma) out.dgamma = start;
    if (wants_dbeta) out.dbeta = start;
    support::backward(norm_, shape_, layout.of(dy_rows), layout.of(x_rows), support::or_null(p_.gamma),
                      flat_.moments.data(), layout.of(dx_rows), wants_dgamma ? out.dgamma.data() : nullptr,
                      wants_dbeta ? out.dbeta.data() : nullptr, {accumulate, nullptr});
    return out;
  }

  // Makes one argument wrong; false where this call has no such argument. dy_rows is null in forward.
  bool spoil(RowShape& shape, Strided<T>& output, T& epsilon, Strided<T>& x, const T** gamma, T** dgamma,
             T** dbeta, RowMoments<T>** moments, Strided<T>* dy) {
    const bool has_rows = shape.rows > 0;
    switch (fault_) {
      case Fault::none:
        return false;
      case Fault::hidden_0:
        shape.hidden = 0;
        return true;
      case Fault::hidden_negative:
        shape.hidden = -shape.hidden;
        return true;
      case Fault::rows_negative:
        shape.rows = -1 - shape.rows;
        return true;
      case Fault::after_0:
        shape.after = -input_.between(0, 2);
        return true;
      case Fault::after_no_divisor:
        shape.after = shape.rows + 1;
        return has_rows;
      case Fault::epsilon_negative:
        epsilon = -std::numeric_limits<T>::denorm_min();
        return dy == nullptr;
      case Fault::epsilon_nan:
        epsilon = support::nan_of<T>;
        return dy == nullptr;
      case Fault::x_missing:
        x.data = nullptr;
        return has_rows;
      case Fault::output_missing:
        output.data = nullptr;
        return has_rows;
      case Fault::dy_missing:
        if (dy == nullptr) return false;
        dy->data = nullptr;
        return has_rows;
      case Fault::moments_missing:
        if (dy == nullptr) return false;
        *moments = nullptr;
        return has_rows;
      case Fault::negative_stride: {
        Strided<T>* const operands[] = {&output, &x, dy != nullptr ? dy : &x};
        Strided<T>& operand = *operands[size(input_.between(0, 2))];
        (input_.coin() ? operand.outer : operand.column) = -1;
        return has_rows;
      }
      case Fault::output_folded:
        if (input_.coin() && shape.hidden > 1) {
          output.column = shape.after - 1;
          return has_rows;
        }
        output.outer = (shape.hidden - 1) * output.column + shape.after - 1;
        return shape.rows > shape.after;
      case Fault::array_on_output:
        if (!has_rows) return false;
        if (dgamma != nullptr && *dgamma != nullptr) {
          *dgamma = output.data;
        } else {
          *gamma = output.data;
        }
        return true;
      case Fault::array_on_array:
        if (dgamma == nullptr || *dgamma == nullptr) return false;
        if (*dbeta != nullptr) {
          *dbeta = *dgamma + input_.between(0, shape.hidden - 1);
        } else if (*gamma != nullptr) {
          *gamma = *dgamma + input_.between(0, shape.hidden - 1);
        }
        return *dbeta != nullptr || *gamma != nullptr;
      case Fault::moments_on_output:
        if (!has_rows || *moments == nullptr) return false;
        *moments = reinterpret_cast<RowMoments<T>*>(output.data);
        return true;
    }
    return false;
  }

  Input& input_;
  Norm norm_;
  RowShape shape_{};
  support::Problem<T> p_;
  Fault fault_ = Fault::none;
  bool has_gamma_ = false, has_beta_ = false, wants_moments_ = false;
  std::string words_;
  support::Forward<T> flat_;  // of contiguous rows
};

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t count) {
  fuzz::Input input(data, count);
  if (input.coin()) {
    fuzz::Run<float> run(input);
    run();
  } else {
    fuzz::Run<double> run(input);
    run();
  }
  return 0;
}
