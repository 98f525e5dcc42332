// Calls that must be refused with words that say why.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace support {

// The call throws std::invalid_argument, whose words begin as all of simdnorm's do and hold each of these.
template <class F> void refused(const std::vector<std::string>& words, const F& call) {
  try {
    call();
    ADD_FAILURE() << "not refused: " << words.front();
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind("simdnorm: ", 0), 0u) << message;
    for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

}  // namespace support
