// The last cache of processors other than the one at hand: what cpuid answers is the test's.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <vector>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <cpuid.h>

namespace {

struct Answer {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
std::function<Answer(unsigned leaf, unsigned cache)> processor;

}  // namespace

#undef __cpuid_count
#define __cpuid_count(leaf, cache, of_a, of_b, of_c, of_d) \
  do {                                                     \
    const Answer answer = processor(leaf, cache);          \
    of_a = answer.a;                                       \
    of_b = answer.b;                                       \
    of_c = answer.c;                                       \
    of_d = answer.d;                                       \
  } while (false)

#include <simdnorm/cache.hpp>

namespace {

using namespace simdnorm;

constexpr unsigned intels = 4, amds = 0x8000001d;
constexpr Index unknown = Index(32) << 20;  // what is assumed where a processor does not tell

// As "deterministic cache parameters" tell of a cache. (The bits beside them are set: they mean something else.)
Answer cache_of(unsigned type, unsigned ways, unsigned partitions, unsigned line, unsigned sets) {
  return {type | 0xffffffe0U, (ways - 1) << 22U | (partitions - 1) << 12U | (line - 1), sets - 1,
          0xffffffffU};
}
const Answer first_data = cache_of(1, 8, 1, 64, 64), first_code = cache_of(2, 8, 1, 64, 64),  // 32 KiB
    second = cache_of(3, 16, 1, 64, 1024);                                                    // 1 MiB

using Caches = std::map<unsigned, std::vector<Answer>>;

// Of the leaves up to the last basic and the last extended one, those of `caches`; behind the last cache of each, as
// behind the last leaf, a processor may answer anything, such as the size of a cache that it has not.
std::function<Answer(unsigned, unsigned)> processor_of(unsigned last_basic, unsigned last_extended,
                                                       const Caches& caches) {
  return [=](unsigned leaf, unsigned cache) -> Answer {
    if ((leaf & 0x7fffffffU) == 0) {
      EXPECT_EQ(cache, 0u);
      return {leaf == 0 ? last_basic : last_extended, ~0U, ~0U, ~0U};
    }
    const bool known = leaf <= (leaf < 0x80000000U ? last_basic : last_extended);
    if (!known) return cache_of(3, 1024, 1, 4096, 4096);
    const auto found = caches.find(leaf);
    if (found == caches.end()) return {};
    if (cache < found->second.size()) return found->second[cache];
    return cache == found->second.size() ? cache_of(0, 1024, 1, 4096, 4096)
                                         : cache_of(3, 1024, 1, 4096, 4096);
  };
}
Index bytes_of(unsigned last_basic, unsigned last_extended, const Caches& caches) {
  processor = processor_of(last_basic, last_extended, caches);
  return last_cache_bytes();
}

TEST(Processors, TellByAmdsLeafOrByIntels) {
  const std::vector<Answer> caches = {first_data, first_code, second,
                                      cache_of(3, 16, 1, 64, 16384)};  // 16 MiB
  EXPECT_EQ(bytes_of(0x16, 0x80000008U, {{intels, caches}}), Index(16) << 20);
  EXPECT_EQ(bytes_of(4, 0x80000008U, {{intels, caches}}), Index(16) << 20) << "the last leaf";
  EXPECT_EQ(bytes_of(0x10, 0x80000021U, {{amds, caches}}), Index(16) << 20);
  EXPECT_EQ(bytes_of(0x10, amds, {{amds, caches}}), Index(16) << 20) << "the last leaf";
  EXPECT_EQ(bytes_of(0x10, amds, {{amds, {first_data, second}}, {intels, caches}}), Index(16) << 20);
  EXPECT_EQ(bytes_of(0x10, amds, {{amds, caches}, {intels, {first_data, second}}}), Index(16) << 20);
}

TEST(Processors, TheLargestIsTheLastWhereverItStands) {
  for (std::size_t place = 0; place < 3; ++place) {
    std::vector<Answer> caches = {first_data, first_code, first_data};
    caches[place] = second;
    EXPECT_EQ(bytes_of(4, 0x80000000U, {{intels, caches}}), Index(1) << 20) << place;
  }
  EXPECT_EQ(bytes_of(4, 0x80000000U, {{intels, {first_data}}}), Index(32) << 10) << "the only one";
}

TEST(Processors, ASizeIsWaysPartitionsLinesAndSets) {
  for (const auto& c : {std::array<unsigned, 4>{5, 1, 64, 2048},
                        {1, 3, 64, 7},
                        {1024, 1, 1, 1},
                        {1, 1024, 1, 2},
                        {1, 1, 4096, 3},
                        {12, 2, 128, 40960}})
    EXPECT_EQ(bytes_of(4, 0x80000000U, {{intels, {cache_of(3, c[0], c[1], c[2], c[3])}}}),
              Index(c[0]) * c[1] * c[2] * c[3]);
}

TEST(Processors, ThatDoNotTellHave32MiB) {
  EXPECT_EQ(bytes_of(3, 0x80000008U, {}), unknown);
  EXPECT_EQ(bytes_of(3, 0x8000001cU, {}), unknown);
  EXPECT_EQ(bytes_of(0x16, 0x80000021U, {}), unknown) << "the leaves are there, and empty";
  EXPECT_EQ(bytes_of(0x16, 0x80000021U, {{intels, {}}, {amds, {}}}), unknown);
}

TEST(Processors, ThatNameCachesWithoutEndAreAskedForEight) {
  std::vector<Answer> caches(8, first_data);
  caches[7] = second;
  caches.resize(100, cache_of(3, 1024, 1, 64, 1024));
  EXPECT_EQ(bytes_of(4, 0x80000000U, {{intels, caches}}), Index(1) << 20);
}

}  // namespace
#endif
