// Arrays of any type between pages that no one may touch.
#pragma once

#include "support/guard_pages.hpp"
#include "support/types.hpp"

namespace support {

#if SIMDNORM_TEST_GUARD_PAGES

// An operand against the guard page before or behind it, `offset` elements away; what is beside it says if it was written.
template <class U> class Guarded {
 public:
  Guarded(const std::vector<U>& values, Placement where, bool reads_only)
      : pages_(values.size() * sizeof(U) + 512) {
    std::memset(pages_.begin(), unwritten, pages_.bytes());
    U* const first = reinterpret_cast<U*>(pages_.begin()) + where.offset;
    data_ = where.at_back
                ? reinterpret_cast<U*>(pages_.end()) - where.offset - static_cast<Index>(values.size())
                : first;
    count_ = values.size();
    std::memcpy(static_cast<void*>(data_), values.data(), count_ * sizeof(U));
    if (reads_only) pages_.make_read_only();
    pages_.show_only(data_, data_ + count_);
  }
  U* data() const { return data_; }
  std::vector<U> values() const { return {data_, data_ + count_}; }
  bool untouched_beside() const {
    pages_.show_all();
    const auto* const from = reinterpret_cast<const unsigned char*>(data_);
    for (const unsigned char* p = pages_.begin(); p < pages_.end(); ++p) {
      if ((p < from || p >= from + count_ * sizeof(U)) && *p != unwritten) return false;
    }
    return true;
  }

 private:
  GuardedPages pages_;
  U* data_;
  std::size_t count_;
};

inline constexpr Placement corners[] = {{false, 0}, {true, 0}, {false, 1}, {true, 1},
                                        {false, 3}, {true, 7}, {true, 13}};

#endif

}  // namespace support
