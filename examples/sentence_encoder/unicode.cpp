#include "unicode.hpp"

#include <utf8proc.h>

#include <stdexcept>
#include <vector>

namespace sentence_encoder {

static const utf8proc_uint8_t* bytes(const std::string& text, std::size_t first = 0) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data() + first);
}
static utf8proc_ssize_t size_of(const std::string& text, std::size_t first = 0) {
  return static_cast<utf8proc_ssize_t>(text.size() - first);
}

std::u32string code_points(const std::string& text) {
  std::u32string made;
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t read = utf8proc_iterate(bytes(text, i), size_of(text, i), &code);
    made.push_back(read > 0 ? static_cast<char32_t>(code) : U'\uFFFD');
    i += read > 0 ? static_cast<std::size_t>(read) : 1;
  }
  return made;
}

std::string utf8(const std::u32string& code_points) {
  std::string made;
  for (const char32_t code : code_points) {
    utf8proc_uint8_t encoded[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), encoded);
    made.append(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(size));
  }
  return made;
}

std::u32string nfkc(const std::string& text) {
  const std::string well_formed = utf8(code_points(text));
  const auto form = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE);
  const auto expect = [](utf8proc_ssize_t size) {
    if (size < 0) throw std::runtime_error(utf8proc_errmsg(size));
    return size;
  };
  // The first call says how many there will be, the second writes them.
  std::vector<utf8proc_int32_t> codes(static_cast<std::size_t>(
      expect(utf8proc_decompose(bytes(well_formed), size_of(well_formed), nullptr, 0, form))));
  const auto size = static_cast<utf8proc_ssize_t>(codes.size());
  expect(utf8proc_decompose(bytes(well_formed), size_of(well_formed), codes.data(), size, form));
  const auto composed = expect(utf8proc_normalize_utf32(codes.data(), size, form));
  return {codes.begin(), codes.begin() + composed};
}

}  // namespace sentence_encoder
