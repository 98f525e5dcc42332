// The text that is learned: characters as tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpt {

/// The characters that are known; a token is the number of one.
class Vocabulary {
 public:
  explicit Vocabulary(std::string characters) : characters_(std::move(characters)) {
    std::sort(characters_.begin(), characters_.end());
    characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
    if (characters_.empty()) throw std::runtime_error("the text is empty");
  }
  int size() const { return static_cast<int>(characters_.size()); }
  const std::string& characters() const { return characters_; }
  char character(int token) const { return characters_[static_cast<std::size_t>(token)]; }
  bool knows(char c) const { return std::binary_search(characters_.begin(), characters_.end(), c); }
  std::vector<int> tokens(const std::string& text) const {
    std::vector<int> made;
    for (const char c : text) {
      if (!knows(c))
        throw std::runtime_error("the model does not know the character of code " +
                                 std::to_string(static_cast<unsigned char>(c)));
      const auto at = std::lower_bound(characters_.begin(), characters_.end(), c);
      made.push_back(static_cast<int>(at - characters_.begin()));
    }
    return made;
  }

 private:
  std::string characters_;  // sorted
};

/// The files one after another; of a folder, its files by name, but no links.
inline std::string read_text(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    if (!fs::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    const auto first = files.size();
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(first), files.end());
  }
  std::string text;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  return text;
}

/// A text in two parts: every tenth piece of a thousand characters is held out of training.
struct Parts {
  std::vector<int> training, held_out;

  explicit Parts(const std::vector<int>& tokens) {
    const std::size_t piece = 1000;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      (i / piece % 10 == 9 ? held_out : training).push_back(tokens[i]);
  }
};

/// The entropy of a character, in nats: what is reached by knowing how often each one stands.
inline double entropy(const std::vector<int>& tokens) {
  std::map<int, double> counts;
  for (const int token : tokens) ++counts[token];
  const double all = static_cast<double>(tokens.size());
  double sum = 0;
  for (const auto& [token, count] : counts) sum -= count / all * std::log(count / all);
  return sum;
}

/// The entropy of a character where the one before it is known, in nats: what the best table of pairs would reach on
/// the text that it was made of.
inline double bigram_entropy(const std::vector<int>& tokens) {
  std::map<std::pair<int, int>, double> pairs;
  std::map<int, double> firsts;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    ++pairs[{tokens[i - 1], tokens[i]}];
    ++firsts[tokens[i - 1]];
  }
  double entropy = 0;
  for (const auto& [pair, count] : pairs) entropy -= count * std::log(count / firsts[pair.first]);
  return entropy / static_cast<double>(tokens.size() - 1);
}

}  // namespace gpt
