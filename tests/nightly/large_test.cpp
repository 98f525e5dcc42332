// More than 2^32 elements in one call, through a few MiB of memory that are mapped again and again. The last window
// has memory of its own: an offset that wraps around leaves it unread or unwritten.
#include <simdnorm/storage.hpp>

#include "support/accuracy.hpp"

#if __has_include(<sys/mman.h>) && defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace support;
using simdnorm::Index;

// `count` windows that share memory, and one more that does not.
template <class T> class Windows {
 public:
  Windows(Index count, const std::vector<T>& shared, const std::vector<T>& last)
      : bytes_(shared.size() * sizeof(T)), all_(size(count + 1) * bytes_) {
    const int file = memfd_create("windows", 0);
    if (file < 0 || ftruncate(file, static_cast<off_t>(bytes_)) != 0) return;
    void* place =
        mmap(nullptr, all_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place != MAP_FAILED) {
      char* window = static_cast<char*>(place);
      first_ = static_cast<T*>(place);
      for (Index i = 0; i < count && first_; ++i, window += bytes_) {
        if (mmap(window, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED)
          first_ = nullptr;
      }
      last_ = reinterpret_cast<T*>(window);
    }
    close(file);
    if (first_ == nullptr) return;
    std::copy(shared.begin(), shared.end(), first_);
    std::copy(last.begin(), last.end(), last_);
  }
  Windows(const Windows&) = delete;
  Windows& operator=(const Windows&) = delete;
  ~Windows() {
    if (first_) munmap(first_, all_);
  }
  explicit operator bool() const { return first_ != nullptr; }
  T* data() const { return first_; }
  const T* last() const { return last_; }

 private:
  std::size_t bytes_, all_;
  T* first_ = nullptr;
  T* last_ = nullptr;
};

class LargeShapes : public testing::TestWithParam<Norm> {};

TEST_P(LargeShapes, MoreThanTwoToTheThirtyTwoElements) {
  using T = float;
  const Norm norm = GetParam();
  constexpr Index hidden = 1024, rows = 1024, windows = 4096;  // of a window: 4 MiB
  static_assert(hidden * rows * windows == Index(1) << 32, "the last window lies beyond 2^32 elements");
  for (Index after : {Index(1), rows}) {
    const RowShape window{rows, hidden, after}, all{rows * (windows + 1), hidden, after};
    const std::vector<RowKind> kinds = {
        {Family::normal, 1, 0}, {Family::uniform, 100, 2}, {Family::ramp, 0, -3}};
    const Problem<T> p = make_problem<T>(rows, hidden, kinds, Parameters::gamma, 1e-5f, 1),
                     q = make_problem<T>(rows, hidden, kinds, Parameters::none, 1e-5f, 2);
    const std::vector<T> nothing(p.x.size(), nan_of<T>);
    const Windows<T> x(windows, p.x, q.x), dy(windows, p.dy, q.dy), y(windows, nothing, nothing);
    if (!x || !dy || !y)
      GTEST_SKIP() << "no address space for " << windows << " windows, or too many mappings";

    std::vector<RowMoments<T>> moments(size(all.rows));
    forward(norm, all, packed(all, x.data()), p.gamma.data(), nullptr, p.epsilon, packed(all, y.data()),
            moments.data());
    // A window of p and one of q by themselves.
    struct Outputs {
      std::vector<T> y, dx, dgamma;
      std::vector<RowMoments<T>> moments;
    };
    const auto run_window = [&](const Problem<T>& of) {
      Outputs out{nothing, nothing, std::vector<T>(size(hidden)), std::vector<RowMoments<T>>(size(rows))};
      forward(norm, window, packed(window, of.x.data()), p.gamma.data(), nullptr, p.epsilon,
              packed(window, out.y.data()), out.moments.data());
      backward(norm, window, packed(window, of.dy.data()), packed(window, of.x.data()), p.gamma.data(),
               out.moments.data(), packed(window, out.dx.data()), out.dgamma.data(), nullptr);
      return out;
    };
    const Outputs of_p = run_window(p), of_q = run_window(q);
    const auto count = static_cast<Index>(p.x.size());
    EXPECT_EQ(first_difference(y.data(), of_p.y.data(), count), -1) << "y, after " << after;
    EXPECT_EQ(first_difference(y.last(), of_q.y.data(), count), -1)
        << "y of the last window, after " << after;
    for (Index w : {Index(0), Index(1), windows / 2, windows - 1, windows}) {
      const std::vector<RowMoments<T>> here(moments.begin() + w * rows, moments.begin() + (w + 1) * rows);
      EXPECT_EQ(first_difference(here, (w == windows ? of_q : of_p).moments), -1)
          << "moments of window " << w;
    }

    // dx on the windows that held y.
    std::vector<T> dgamma(size(hidden), nan_of<T>);
    backward(norm, all, packed(all, dy.data()), packed(all, x.data()), p.gamma.data(), moments.data(),
             packed(all, y.data()), dgamma.data(), nullptr);
    EXPECT_EQ(first_difference(y.data(), of_p.dx.data(), count), -1) << "dx, after " << after;
    EXPECT_EQ(first_difference(y.last(), of_q.dx.data(), count), -1)
        << "dx of the last window, after " << after;
    // dgamma of p many times and of q once: what one window's rounding is times the number of windows bounds it.
    for (std::size_t c = 0; c < size(hidden); ++c) {
      const double windows_of_p = static_cast<double>(windows) * static_cast<double>(of_p.dgamma[c]);
      const double expected = windows_of_p + static_cast<double>(of_q.dgamma[c]);
      EXPECT_NEAR(static_cast<double>(dgamma[c]), expected,
                  4 * roundoff<T> * static_cast<double>(windows) * 1024)
          << "dgamma of column " << c;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(BothNorms, LargeShapes, testing::Values(Norm::layer, Norm::rms),
                         [](const auto& norm) { return oracle::name(norm.param); });

}  // namespace
#endif
