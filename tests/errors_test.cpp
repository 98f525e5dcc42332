// Wrong arguments to the pointer layer: std::invalid_argument whose words name the operation and the sizes,
// and not one byte written. Then the matrix of aliasings: what may overlap works, everything else is refused.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include <functional>

#include "support/calls.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <class T> struct Errors : testing::Test {
  static constexpr Index rows = 3, hidden = 5;

  // Runs the call, which must throw; its message must hold all the words; nothing of `buffer` may change.
  void refused(const std::function<void()>& call, const std::vector<std::string>& words) {
    const std::vector<T> before = buffer;
    const std::vector<RowMoments<T>> moments_before = moments;
    try {
      call();
      ADD_FAILURE() << "was not refused";
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind("simdnorm: ", 0), 0u) << message;
      for (const std::string& word : words)
        EXPECT_NE(message.find(word), std::string::npos) << '"' << word << "\" in: " << message;
    }
    EXPECT_EQ(first_difference(before, buffer), -1) << "written before the error";
    EXPECT_EQ(first_difference(moments_before, moments), -1) << "written before the error";
  }
  void allowed(const std::function<void()>& call) { EXPECT_NO_THROW(call()); }

  // Operands lie one after another in one buffer: x, dy, y, dx (rows * hidden each), gamma, beta, dgamma,
  // dbeta (hidden each).
  T* at(Index offset) { return buffer.data() + offset; }
  T* x() { return at(0); }
  T* dy() { return at(rows * hidden); }
  T* y() { return at(2 * rows * hidden); }
  T* dx() { return at(3 * rows * hidden); }
  T* gamma() { return at(4 * rows * hidden); }
  T* beta() { return gamma() + hidden; }
  T* dgamma() { return gamma() + 2 * hidden; }
  T* dbeta() { return gamma() + 3 * hidden; }

  void SetUp() override {
    Random random(1);
    fill_normal(random, buffer.data(), static_cast<Index>(buffer.size()));
    moments.assign(size(rows), {T(0), T(0), T(1), T(1)});
  }
  std::vector<T> buffer = std::vector<T>(size(4 * rows * hidden + 4 * hidden + 64));
  std::vector<RowMoments<T>> moments;
  RowShape shape{rows, hidden};

  void layer(const T* x_, const T* gamma_, const T* beta_, T epsilon, T* y_,
             RowMoments<T>* moments_ = nullptr) {
    forward(Norm::layer, shape, packed(shape, x_), gamma_, beta_, epsilon, packed(shape, y_), moments_);
  }
  void rms(const T* x_, const T* gamma_, T epsilon, T* y_, RowMoments<T>* moments_ = nullptr) {
    forward(Norm::rms, shape, packed(shape, x_), gamma_, nullptr, epsilon, packed(shape, y_), moments_);
  }
  void layer_back(const T* dy_, const T* x_, const T* gamma_, const RowMoments<T>* moments_, T* dx_,
                  T* dgamma_, T* dbeta_) {
    backward(Norm::layer, shape, packed(shape, dy_), packed(shape, x_), gamma_, moments_, packed(shape, dx_),
             dgamma_, dbeta_);
  }
  void rms_back(const T* dy_, const T* x_, const T* gamma_, const RowMoments<T>* moments_, T* dx_,
                T* dgamma_) {
    backward(Norm::rms, shape, packed(shape, dy_), packed(shape, x_), gamma_, moments_, packed(shape, dx_),
             dgamma_, nullptr);
  }
  // Both norms, forward and backward, with the shape as it is.
  void all_refused(const std::string& word) {
    this->refused([&] { layer(x(), gamma(), beta(), T(1e-5), y(), moments.data()); },
                  {"layer_norm_forward", word});
    this->refused([&] { rms(x(), gamma(), T(1e-5), y(), moments.data()); }, {"rms_norm_forward", word});
    this->refused([&] { layer_back(dy(), x(), gamma(), moments.data(), dx(), dgamma(), dbeta()); },
                  {"layer_norm_backward", word});
    this->refused([&] { rms_back(dy(), x(), gamma(), moments.data(), dx(), dgamma()); },
                  {"rms_norm_backward", word});
  }
};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(Errors, Elements);

TYPED_TEST(Errors, TheArgumentsOfTheseTestsAreRightOtherwise) {
  this->allowed([&] {
    this->layer(this->x(), this->gamma(), this->beta(), TypeParam(1e-5), this->y(), this->moments.data());
  });
  this->allowed(
      [&] { this->rms(this->x(), this->gamma(), TypeParam(1e-5), this->y(), this->moments.data()); });
  this->allowed([&] {
    this->layer_back(this->dy(), this->x(), this->gamma(), this->moments.data(), this->dx(), this->dgamma(),
                     this->dbeta());
  });
  this->allowed([&] {
    this->rms_back(this->dy(), this->x(), this->gamma(), this->moments.data(), this->dx(), this->dgamma());
  });
}

TYPED_TEST(Errors, HiddenMustBeAtLeastOne) {
  for (Index wrong : {Index(0), Index(-1), std::numeric_limits<Index>::min()}) {
    this->shape = {3, wrong};
    this->all_refused("hidden " + std::to_string(wrong));
    this->shape = {0, wrong};
    this->all_refused("hidden " + std::to_string(wrong));
  }
}

TYPED_TEST(Errors, RowsMustNotBeNegative) {
  this->shape = {-1, 5};
  this->all_refused("rows -1, hidden 5");
}

TYPED_TEST(Errors, RowsAreAMultipleOfAfter) {
  for (Index after : {0, -1, 2, 4}) {
    this->shape = {3, 5, after};
    this->all_refused("after " + std::to_string(after));
  }
}

TYPED_TEST(Errors, EpsilonMustBeANumberNotBelowZero) {
  using T = TypeParam;
  const T denormal = -std::numeric_limits<T>::denorm_min();
  for (T epsilon : {T(-1e-5), denormal, nan_of<T>, -std::numeric_limits<T>::infinity()}) {
    this->refused(
        [&] {
          this->layer(this->x(), this->gamma(), this->beta(), epsilon, this->y(), this->moments.data());
        },
        {"layer_norm_forward", "epsilon"});
    this->refused([&] { this->rms(this->x(), this->gamma(), epsilon, this->y(), this->moments.data()); },
                  {"rms_norm_forward", "epsilon"});
  }
  this->allowed([&] { this->layer(this->x(), nullptr, nullptr, T(-0.0), this->y()); });
}

TYPED_TEST(Errors, MissingOperands) {
  using T = TypeParam;
  this->refused([&] { this->layer(nullptr, nullptr, nullptr, T(1), this->y()); },
                {"layer_norm_forward", "x is nullptr"});
  this->refused([&] { this->layer(this->x(), nullptr, nullptr, T(1), nullptr); },
                {"layer_norm_forward", "y is nullptr"});
  this->refused([&] { this->rms(nullptr, nullptr, T(1), this->y()); }, {"rms_norm_forward", "x is nullptr"});
  this->refused([&] { this->rms(this->x(), nullptr, T(1), nullptr); }, {"rms_norm_forward", "y is nullptr"});
  const std::vector<std::string> names = {"dy", "x", "moments", "dx"};
  for (std::size_t missing = 0; missing < 4; ++missing) {
    const T* dy = missing == 0 ? nullptr : this->dy();
    const T* x = missing == 1 ? nullptr : this->x();
    const RowMoments<T>* kept = missing == 2 ? nullptr : this->moments.data();
    T* dx = missing == 3 ? nullptr : this->dx();
    this->refused([&] { this->layer_back(dy, x, nullptr, kept, dx, this->dgamma(), this->dbeta()); },
                  {"layer_norm_backward", names[missing] + " is nullptr", "rows 3, hidden 5"});
    this->refused([&] { this->rms_back(dy, x, nullptr, kept, dx, this->dgamma()); },
                  {"rms_norm_backward", names[missing] + " is nullptr", "rows 3, hidden 5"});
  }
  this->shape.rows = 1;
  this->refused([&] { this->rms_back(this->dy(), this->x(), nullptr, nullptr, this->dx(), this->dgamma()); },
                {"rms_norm_backward", "moments is nullptr", "rows 1, hidden 5"});
}

TYPED_TEST(Errors, OutputsWhoseElementsShareAPlace) {
  using T = TypeParam;
  const Strided<const T> x{this->x(), 5, 1}, dy{this->dy(), 5, 1};
  const T* none = nullptr;
  const Index strides[][2] = {{4, 1}, {0, 1}, {5, 0}, {5, 2}, {-5, 1}, {5, -1}};  // outer, column
  for (const auto& s : strides) {
    const Strided<T> y{this->y(), s[0], s[1]};
    const std::string place =
        "outer " + std::to_string(s[0]) + ", column " + std::to_string(s[1]) + " (rows 3";
    const bool negative = s[0] < 0 || s[1] < 0;
    const auto words = [&](const std::string& name) {
      return negative ? name + " has a negative stride" : "elements of " + name + " share a place: " + place;
    };
    this->refused([&] { forward(Norm::layer, this->shape, x, none, none, T(1), y); },
                  {words("y"), "(rows 3, hidden 5)"});
    this->refused(
        [&] { backward(Norm::rms, this->shape, dy, x, none, this->moments.data(), y, nullptr, nullptr); },
        {words("dx"), "(rows 3, hidden 5)"});
  }
}

// Two operands, the second `offset` elements after the first.
TYPED_TEST(Errors, PartialOverlapsAreRefused) {
  using T = TypeParam;
  const T* none = nullptr;
  const std::string bytes = " (" + std::to_string(15 * sizeof(T)) + " bytes)";
  for (Index offset : {-14, -5, -1, 1, 4, 5, 14}) {
    T* beside = this->y() + offset;
    this->refused([&] { this->layer(this->y(), none, none, T(1), beside); },
                  {"y" + bytes + " and x" + bytes + " overlap (rows 3, hidden 5)"});
    this->refused([&] { this->rms(this->y(), none, T(1), beside); }, {"x", "y", "overlap"});
    this->refused(
        [&] { this->layer_back(this->y(), this->x(), none, this->moments.data(), beside, nullptr, nullptr); },
        {"dy", "dx", "overlap"});
    this->refused(
        [&] { this->layer_back(this->x(), this->y(), none, this->moments.data(), beside, nullptr, nullptr); },
        {"x", "dx", "overlap"});
    this->refused([&] { this->rms_back(this->y(), this->x(), none, this->moments.data(), beside, nullptr); },
                  {"dy", "dx", "overlap"});
  }
}

// Each written operand against each other operand at the same place.
TYPED_TEST(Errors, AliasingMatrixOfForward) {
  using T = TypeParam;
  T *x = this->x(), *y = this->y(), *gamma = this->gamma(), *beta = this->beta();
  this->allowed([&] { this->layer(x, gamma, beta, T(1), x); });  // in place
  this->allowed([&] { this->rms(x, gamma, T(1), x); });
  this->allowed([&] { this->layer(x, gamma, gamma, T(1), y); });  // only read: may be one
  this->allowed([&] { this->layer(x, x, x, T(1), y); });
  this->refused([&] { this->layer(x, y, beta, T(1), y); }, {"gamma", "y", "overlap"});
  this->refused([&] { this->layer(x, gamma, y + 14, T(1), y); }, {"beta", "y", "overlap"});
  this->refused([&] { this->rms(x, y + 3, T(1), y); }, {"gamma", "y", "overlap"});
  auto* on = [](T* place) { return reinterpret_cast<RowMoments<T>*>(place); }(y);
  this->refused([&] { this->layer(x, gamma, beta, T(1), y, on); }, {"moments", "y", "overlap"});
  on = reinterpret_cast<RowMoments<T>*>(x);
  this->refused([&] { this->layer(x, gamma, beta, T(1), y, on); }, {"moments", "x", "overlap"});
  on = reinterpret_cast<RowMoments<T>*>(gamma);
  this->refused([&] { this->rms(x, gamma, T(1), y, on); }, {"moments", "gamma", "overlap"});
  this->refused([&] { this->layer(x, x, gamma, T(1), y, on); }, {"moments", "beta", "overlap"});
}

TYPED_TEST(Errors, AliasingMatrixOfBackward) {
  using T = TypeParam;
  T *x = this->x(), *dy = this->dy(), *dx = this->dx(), *gamma = this->gamma(), *dgamma = this->dgamma(),
    *dbeta = this->dbeta();
  const RowMoments<T>* kept = this->moments.data();
  this->allowed([&] { this->layer_back(dy, x, gamma, kept, dy, dgamma, dbeta); });
  this->allowed([&] { this->layer_back(dy, x, gamma, kept, x, dgamma, dbeta); });
  this->allowed([&] { this->rms_back(dy, x, gamma, kept, dy, dgamma); });
  this->allowed([&] { this->rms_back(dy, x, gamma, kept, x, dgamma); });
  this->allowed([&] { this->layer_back(x, x, x, kept, dx, dgamma, dbeta); });
  struct Case {
    T *dx, *dgamma, *dbeta;
    std::vector<std::string> words;
  };
  const std::vector<Case> cases = {{gamma, dgamma, dbeta, {"dx", "gamma", "overlap"}},
                                   {dx, gamma, dbeta, {"dgamma", "gamma", "overlap"}},
                                   {dx, dgamma, gamma, {"dbeta", "gamma", "overlap"}},
                                   {dx, dgamma, dgamma, {"dgamma", "dbeta", "overlap"}},
                                   {dx, dgamma, dgamma + 4, {"dgamma", "dbeta", "overlap"}},
                                   {dx, dx, dbeta, {"dgamma", "dx", "overlap"}},
                                   {dx, dgamma, dx + 14, {"dbeta", "dx", "overlap"}},
                                   {dx, x + 10, dbeta, {"dgamma", "x", "overlap"}},
                                   {dx, dgamma, dy, {"dbeta", "dy", "overlap"}}};
  for (const Case& c : cases) {
    this->refused([&] { this->layer_back(dy, x, gamma, kept, c.dx, c.dgamma, c.dbeta); }, c.words);
  }
  for (int operand = 0; operand < 3; ++operand) {
    T* place = operand == 0 ? dx : operand == 1 ? dgamma : dbeta;
    const auto* on = reinterpret_cast<const RowMoments<T>*>(place);
    this->refused([&] { this->layer_back(dy, x, gamma, on, dx, dgamma, dbeta); }, {"moments", "overlap"});
  }
  this->refused([&] { this->rms_back(dy, x, gamma, kept, dx, dx + 2); }, {"dgamma", "dx", "overlap"});
}

// What lies right before an operand, or right behind it, does not touch it; one element nearer, it does.
TYPED_TEST(Errors, OperandsEndWhereTheirLastElementEnds) {
  using T = TypeParam;
  std::vector<T> memory(100);
  T* const out = memory.data() + 40;  // y or dx
  const T *x = this->x(), *dy = this->dy(), *none = nullptr;
  const auto call = [&](int operand, T* place) {
    auto* kept = reinterpret_cast<RowMoments<T>*>(place);
    if (operand == 0) this->layer(x, place, none, T(1), out);
    if (operand == 1) this->layer(x, none, place, T(1), out);
    if (operand == 2) this->rms(x, place, T(1), out);
    if (operand == 3) this->layer_back(dy, x, place, this->moments.data(), out, nullptr, nullptr);
    if (operand == 4) this->layer_back(dy, x, none, this->moments.data(), out, place, nullptr);
    if (operand == 5) this->layer_back(dy, x, none, this->moments.data(), out, nullptr, place);
    if (operand == 6) this->rms_back(dy, x, none, this->moments.data(), out, place);
    if (operand == 7) this->layer(x, none, none, T(1), out, kept);
    if (operand == 8) this->rms_back(dy, x, none, kept, out, nullptr);
  };
  const Index size_of_out = this->rows * this->hidden;
  for (int operand = 0; operand < 9; ++operand) {
    const Index size_of_operand = operand < 7 ? this->hidden : 4 * this->rows;
    this->allowed([&] { call(operand, out - size_of_operand); });
    this->allowed([&] { call(operand, out + size_of_out); });
    this->refused([&] { call(operand, out - size_of_operand + 1); }, {"overlap"});
    this->refused([&] { call(operand, out + size_of_out - 1); }, {"overlap"});
  }
}

// Rows of two operands may take turns in one buffer without touching: the halves of a wider matrix.
TYPED_TEST(Errors, InterleavedOperandsAreNoOverlap) {
  using T = TypeParam;
  const T* none = nullptr;
  std::vector<T> wide(size(3 * 10), T(1));
  const RowShape halves{3, 5};
  const Strided<T> right{wide.data() + 5, 10, 1};
  const Strided<const T> left{wide.data(), 10, 1};
  this->allowed([&] { forward(Norm::layer, halves, left, none, none, T(1), right); });
  for (Index r = 0; r < 3; ++r) {
    for (Index c = 0; c < 5; ++c) {
      EXPECT_EQ(wide[size(10 * r + c)], T(1));
      EXPECT_EQ(wide[size(10 * r + 5 + c)], T(0));
    }
  }
  const Strided<T> one_too_far{wide.data() + 4, 10, 1};
  this->refused([&] { forward(Norm::layer, halves, left, none, none, T(1), one_too_far); },
                {"x", "y", "overlap"});
  // The same with rows side by side: columns of two operands alternate.
  const RowShape beside{2, 5, 2};
  const Strided<const T> even{wide.data(), 0, 4};
  const Strided<T> odd{wide.data() + 2, 0, 4};
  this->allowed([&] { forward(Norm::rms, beside, even, none, none, T(1), odd); });
  const Strided<T> mixed{wide.data() + 1, 0, 4};
  this->refused([&] { forward(Norm::rms, beside, even, none, none, T(1), mixed); }, {"x", "y", "overlap"});
}

// In place with other strides is a partial overlap, also from the same first element.
TYPED_TEST(Errors, InPlaceNeedsTheSameStrides) {
  using T = TypeParam;
  const T* none = nullptr;
  const Strided<const T> x{this->x(), 5, 1};
  const Strided<T> y{this->x(), 6, 1};
  this->refused([&] { forward(Norm::layer, this->shape, x, none, none, T(1), y); }, {"x", "y", "overlap"});
  const RowShape beside{3, 5, 3};
  const Strided<const T> packed_x{this->x(), 15, 3};
  const Strided<T> wider{this->x(), 20, 4};
  this->refused([&] { forward(Norm::layer, beside, packed_x, none, none, T(1), wider); },
                {"x", "y", "overlap"});
}

TYPED_TEST(Errors, InputsAreNeverWritten) {
  using T = TypeParam;
  const std::vector<T> before = this->buffer;
  this->layer(this->x(), this->gamma(), this->beta(), T(1e-5), this->y(), this->moments.data());
  const std::vector<RowMoments<T>> kept = this->moments;
  this->layer_back(this->dy(), this->x(), this->gamma(), this->moments.data(), this->dx(), this->dgamma(),
                   this->dbeta());
  this->rms_back(this->dy(), this->x(), this->gamma(), this->moments.data(), this->dx(), this->dgamma());
  EXPECT_EQ(first_difference(kept, this->moments), -1);
  const Index all = this->rows * this->hidden;
  EXPECT_EQ(first_difference(before.data(), this->x(), 2 * all), -1) << "x or dy";
  EXPECT_EQ(first_difference(before.data() + 4 * all, this->gamma(), 2 * this->hidden), -1)
      << "gamma or beta";
  EXPECT_EQ(first_difference(before.data() + 4 * all + 4 * this->hidden, this->dbeta() + this->hidden, 64),
            -1)
      << "beyond";
}

}  // namespace
