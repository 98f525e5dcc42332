// A sentence as the numbers of pieces of a vocabulary: SentencePiece's unigram model, with the choices of the package.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sentence_encoder {

using Tokens = std::vector<int>;

struct Piece {
  std::u32string text;
  double score = 0;  // the logarithm of how likely it is
};

/// The pieces that make up the sentence and have the greatest sum of scores.
///
/// The sentence is brought into NFKC; a mark, U+2581, takes the place of each space and stands at the beginning. A character that
/// begins no piece is token 0, of score 0, and so is a run of them. As in the package, of equal sums the one whose last piece begins
/// later is taken, and a sum of exactly 0 counts as none.
class Tokenizer {
 public:
  /// The first six stand for no text.
  explicit Tokenizer(std::vector<Piece> vocabulary);

  Tokens encode(const std::string& sentence) const;

  int size() const { return static_cast<int>(vocabulary_.size()); }
  const std::u32string& piece(int token) const { return vocabulary_[static_cast<std::size_t>(token)].text; }

 private:
  struct Node {
    std::map<char32_t, std::size_t> next;
    int piece = 0;  // that ends here; 0 for none
  };

  std::vector<Piece> vocabulary_;
  std::vector<Node> nodes_;  // of the tree of all pieces; the first is the root
};

}  // namespace sentence_encoder
