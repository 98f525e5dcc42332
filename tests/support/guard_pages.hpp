// Memory between two pages that no one may touch: an access one element before or after the operand ends the
// test. Inputs are mapped read-only. Where the operand does not lie against a guard page, the slack beside it
// is filled with a pattern that a stray write breaks, and AddressSanitizer, where it runs, is told to catch
// reads of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__unix__) || defined(__APPLE__)
#define SIMDNORM_TEST_GUARD_PAGES 1
#include <sys/mman.h>
#include <unistd.h>
#else
#define SIMDNORM_TEST_GUARD_PAGES 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SIMDNORM_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMDNORM_TEST_ASAN 1
#endif
#endif
#if defined(SIMDNORM_TEST_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace support {

#if SIMDNORM_TEST_GUARD_PAGES

class GuardedPages {
 public:
  explicit GuardedPages(std::size_t bytes) {
    page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (bytes + page_ - 1) / page_ * page_;
    void* map = mmap(nullptr, bytes_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return;
    map_ = static_cast<unsigned char*>(map);
    if (mprotect(map_ + page_, bytes_, PROT_READ | PROT_WRITE) == 0) begin_ = map_ + page_;
  }
  ~GuardedPages() {
    if (map_ == nullptr) return;
    show_all();
    munmap(map_, bytes_ + 2 * page_);
  }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  bool ok() const { return begin_ != nullptr; }
  unsigned char* begin() const { return begin_; }
  unsigned char* end() const { return begin_ + bytes_; }
  std::size_t bytes() const { return bytes_; }
  bool make_read_only() const { return mprotect(begin_, bytes_, PROT_READ) == 0; }

  // To AddressSanitizer, only [from, to) exists.
  void show_only(const void* from, const void* to) const {
#if defined(SIMDNORM_TEST_ASAN)
    const unsigned char* first = static_cast<const unsigned char*>(from);
    const unsigned char* last = static_cast<const unsigned char*>(to);
    __asan_poison_memory_region(begin_, bytes_);
    __asan_unpoison_memory_region(first, static_cast<std::size_t>(last - first));
#else
    static_cast<void>(from), static_cast<void>(to);
#endif
  }
  void show_all() const {
#if defined(SIMDNORM_TEST_ASAN)
    if (begin_ != nullptr) __asan_unpoison_memory_region(begin_, bytes_);
#endif
  }

 private:
  std::size_t page_ = 0, bytes_ = 0;
  unsigned char* map_ = nullptr;
  unsigned char* begin_ = nullptr;
};

// Where in its pages an operand lies: `offset` elements after the front guard page, or before the back one.
struct Placement {
  bool at_back;
  std::int64_t offset;
};

// An operand that is read: the pages are filled once with values, then made read-only; operands of any size
// up to the capacity are placed in them.
template <class T> class GuardedInput {
 public:
  explicit GuardedInput(std::size_t capacity) : pages_(capacity * sizeof(T)) {}
  bool ok() const { return pages_.ok(); }
  template <class Fill> bool fill(Fill&& value) {  // value(): the next element
    pages_.show_all();
    T* data = reinterpret_cast<T*>(pages_.begin());
    for (std::size_t i = 0; i < pages_.bytes() / sizeof(T); ++i) data[i] = value();
    return pages_.make_read_only();
  }
  const T* place(Placement where, std::int64_t count) const {
    const T* first = reinterpret_cast<const T*>(pages_.begin()) + where.offset;
    if (where.at_back) first = reinterpret_cast<const T*>(pages_.end()) - where.offset - count;
    pages_.show_only(first, first + count);
    return first;
  }

 private:
  GuardedPages pages_;
};

// An operand that is written.
template <class T> class GuardedOutput {
 public:
  explicit GuardedOutput(std::size_t capacity) : pages_(capacity * sizeof(T)) {}
  bool ok() const { return pages_.ok(); }
  // Elements are NaN at first, so that one that stays unwritten is seen.
  T* place(Placement where, std::int64_t count) {
    pages_.show_all();
    T* first = reinterpret_cast<T*>(pages_.begin()) + where.offset;
    if (where.at_back) first = reinterpret_cast<T*>(pages_.end()) - where.offset - count;
    first_ = reinterpret_cast<unsigned char*>(first);
    last_ = reinterpret_cast<unsigned char*>(first + count);
    const std::size_t before = static_cast<std::size_t>(first_ - pages_.begin());
    const std::size_t after = static_cast<std::size_t>(pages_.end() - last_);
    front_ = before < slack ? before : slack;
    back_ = after < slack ? after : slack;
    std::memset(first_ - front_, pattern, front_);
    std::memset(last_, pattern, back_);
    for (std::int64_t i = 0; i < count; ++i) set_nan(first[i]);
    pages_.show_only(first, first + count);
    return first;
  }
  // The pattern beside the operand is whole.
  bool slack_untouched() const {
    pages_.show_all();
    for (std::size_t i = 1; i <= front_; ++i) {
      if (*(first_ - i) != pattern) return false;
    }
    for (std::size_t i = 0; i < back_; ++i) {
      if (last_[i] != pattern) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t slack = 256;  // bytes; four of the longest vectors
  static constexpr unsigned char pattern = 0xA5;
  static void set_nan(float& value) { value = std::numeric_limits<float>::quiet_NaN(); }
  static void set_nan(double& value) { value = std::numeric_limits<double>::quiet_NaN(); }
  template <class Moments> static void set_nan(Moments& value) {
    value.mean = value.mean_low = value.rstd = value.scale =
        std::numeric_limits<decltype(value.mean)>::quiet_NaN();
  }
  GuardedPages pages_;
  unsigned char* first_ = nullptr;
  unsigned char* last_ = nullptr;
  std::size_t front_ = 0, back_ = 0;
};

#endif

}  // namespace support
