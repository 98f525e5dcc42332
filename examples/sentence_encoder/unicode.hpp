// Text as code points in Unicode's normalization form NFKC.
#pragma once

#include <string>

namespace sentence_encoder {

/// Of a text in UTF-8; what is not well-formed in it becomes U+FFFD, the replacement character.
std::u32string nfkc(const std::string& text);

/// Back to UTF-8.
std::string utf8(const std::u32string& code_points);

/// As it is, without a normalization; of well-formed UTF-8.
std::u32string code_points(const std::string& text);

}  // namespace sentence_encoder
