// Operands in memory of exactly their size, and what a call may do to it.
#pragma once

#include <sanitizer/asan_interface.h>

#include "fuzz/input.hpp"

namespace fuzz {

using support::size;

// Rows somewhere in a vector: element i of the contiguous (rows, hidden) lies in (*memory)[cells[i]].
template <class T> struct Operand {
  std::vector<T>* memory = nullptr;
  std::vector<std::size_t> cells;

  void write(const std::vector<T>& rows, std::vector<T>& to) const {
    for (std::size_t i = 0; i < cells.size(); ++i) to[cells[i]] = rows[i];
  }
  std::vector<T> read() const {
    std::vector<T> rows;
    for (std::size_t cell : cells) rows.push_back((*memory)[cell]);
    return rows;
  }
};

// Exactly the memory that some operands need, all of it set to a NaN that nothing computes.
template <class T> void allocate(std::vector<T>& memory, std::size_t count) {
  std::vector<T>(count, from_bits<T>(static_cast<Bits<T>>(0x7ff0dead7fc0deadu))).swap(memory);
}

// The elements of a vector that belong to none of the operands are poisoned for as long as this lives.
template <class T> class Poison {
 public:
  Poison(std::vector<T>& memory, const std::vector<const Operand<T>*>& operands) : memory_(memory) {
    std::vector<char> used(memory.size(), 0);
    for (const Operand<T>* operand : operands)
      if (operand->memory == &memory)
        for (std::size_t cell : operand->cells) used[cell] = 1;
    for (std::size_t begin = 0, end = 0; begin < used.size(); begin = end + 1) {
      for (end = begin; end < used.size() && !used[end];) ++end;
      ASAN_POISON_MEMORY_REGION(memory.data() + begin, (end - begin) * sizeof(T));
    }
  }
  ~Poison() { ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size() * sizeof(T)); }
  Poison(const Poison&) = delete;
  Poison& operator=(const Poison&) = delete;

 private:
  std::vector<T>& memory_;
};

// A place of the output belongs to another element too, of the output or of an input.
template <class T> bool clash(const Operand<T>& output, const std::vector<const Operand<T>*>& inputs) {
  constexpr std::size_t nobody = static_cast<std::size_t>(-1);
  std::vector<std::size_t> owner(output.memory->size(), nobody);
  for (std::size_t i = 0; i < output.cells.size(); ++i) {
    if (owner[output.cells[i]] != nobody) return true;
    owner[output.cells[i]] = i;
  }
  for (const Operand<T>* input : inputs) {
    if (input->memory != output.memory) continue;
    for (std::size_t i = 0; i < input->cells.size(); ++i)
      if (owner[input->cells[i]] != nobody && owner[input->cells[i]] != i) return true;
  }
  return false;
}

// What is expected of an output, but for which NaN: that hangs on the order of an operation's operands, and is
// promised for rows of x that are not finite only.
template <class T>
void expect_rows(const Operand<T>& output, const support::Problem<T>& p, const std::vector<T>& rows,
                 std::vector<T>& expected) {
  output.write(rows, expected);
  for (Index r = 0; r < p.rows; ++r) {
    if (!std::all_of(p.row(r), p.row(r) + p.hidden, [](T x) { return std::isfinite(x); })) continue;
    for (std::size_t i = size(r * p.hidden); i < size((r + 1) * p.hidden); ++i) {
      const T got = (*output.memory)[output.cells[i]];
      if (std::isnan(rows[i]) && std::isnan(got)) expected[output.cells[i]] = got;
    }
  }
}

// Tasks in another order than one after the other.
inline support::Executor any_order(Input& input, std::string& words) {
  const Index order = input.between(0, 2), start = input.between(0, 15);
  words += order == 0 ? "" : order == 1 ? ", tasks backwards" : ", tasks from " + std::to_string(start);
  if (order == 0) return support::serial;
  if (order == 1) return support::Backwards{};
  return [start](Index tasks, Index, const std::function<void(Index)>& run) {
    for (Index i = 0; i < tasks; ++i) run((i + start) % tasks);
  };
}

// Whether a call was refused, in the words that are promised.
template <class Call> bool refused(const Call& call) {
  try {
    call();
    return false;
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).rfind("simdnorm: ", 0) != 0) fail("words of an error: ", error.what());
    return true;
  }
}

template <class T>
void expect_same(const char* what, const std::vector<T>& got, const std::vector<T>& expected) {
  const Index at = support::first_difference(got, expected);
  if (at < -1) fail(what, " has another size");
  if (at >= 0) fail(what, " differs at ", at, ": ", got[size(at)], " for ", expected[size(at)]);
}
template <class T>
void expect_same(const char* what, const std::vector<simdnorm::RowMoments<T>>& got,
                 const std::vector<simdnorm::RowMoments<T>>& expected) {
  const Index at = support::first_difference(got, expected);
  if (at != -1) fail(what, " differ at row ", at);
}

}  // namespace fuzz
