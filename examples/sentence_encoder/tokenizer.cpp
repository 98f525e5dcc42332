#include "tokenizer.hpp"

#include <algorithm>

#include "unicode.hpp"

namespace sentence_encoder {

Tokenizer::Tokenizer(std::vector<Piece> vocabulary) : vocabulary_(std::move(vocabulary)), nodes_(1) {
  const std::size_t reserved = 6;
  for (std::size_t i = reserved; i < vocabulary_.size(); ++i) {
    std::size_t node = 0;
    for (const char32_t c : vocabulary_[i].text) {
      const auto [next, is_new] = nodes_[node].next.try_emplace(c, nodes_.size());
      node = next->second;
      if (is_new) nodes_.emplace_back();
    }
    nodes_[node].piece = static_cast<int>(i);
  }
}

Tokens Tokenizer::encode(const std::string& sentence) const {
  std::u32string text = nfkc(sentence);
  if (text.empty()) return {};
  std::replace(text.begin(), text.end(), U' ', U'\u2581');
  text.insert(text.begin(), U'\u2581');

  // Of the text up to each place, the greatest sum of scores, and the last piece of that.
  std::vector<double> best(text.size() + 1, 0);
  std::vector<int> last(text.size() + 1, 0);
  const auto offer = [&](int token, std::size_t begin, std::size_t end) {
    const double score = (token == 0 ? 0 : vocabulary_[static_cast<std::size_t>(token)].score) + best[begin];
    if (best[end] != 0 && score < best[end]) return;
    best[end] = score;
    last[end] = token;
  };
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    bool found = false;
    std::size_t node = 0;
    for (std::size_t end = begin; end < text.size(); ++end) {
      const auto next = nodes_[node].next.find(text[end]);
      if (next == nodes_[node].next.end()) break;
      node = next->second;
      if (nodes_[node].piece == 0) continue;
      offer(nodes_[node].piece, begin, end + 1);
      found = true;
    }
    if (!found) offer(0, begin, begin + 1);
  }

  Tokens tokens;
  for (std::size_t end = text.size(); end > 0;) {
    const int token = last[end];
    if (token != 0 || tokens.empty() || tokens.back() != 0) tokens.push_back(token);
    end -= token == 0 ? 1 : piece(token).size();
  }
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace sentence_encoder
