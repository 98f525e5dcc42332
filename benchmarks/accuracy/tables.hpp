// Tables of figures, one column a peer, as GitHub's Markdown and, with nlohmann's library, as JSON.
#pragma once

#include <cmath>
#include <cstdio>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "peer.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define ACCURACY_JSON 1
#else
#define ACCURACY_JSON 0
#endif

namespace accuracy {

constexpr bool has_json = ACCURACY_JSON;

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

struct Row {
  std::string label;
  std::vector<double> figures;  // of the peers, in their order
};

struct Table {
  std::string title, note;
  std::string quantity;  // what the rows go through
  std::string (*format)(double);
  std::vector<Row> rows = {};
};

inline std::string print(const char* form, double value) {
  char text[64];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

// 1.9e-7, 2.8e6
inline std::string scientific(double value) {
  if (value == 0) return "0";
  if (std::isinf(value)) return "NaN or Inf";
  const std::string text = print("%.1e", value);
  const std::size_t e = text.find('e');
  return text.substr(0, e + 1) + std::to_string(std::stoi(text.substr(e + 1)));
}
inline std::string units(double value) {
  if (value < 1e-3 || value >= 9999.5) return scientific(value);
  return print(value < 0.995 ? "%.2g" : value < 99.95 ? "%.1f" : "%.0f", value);
}
inline std::string count(double value) { return print("%.0f", value); }

inline void write_markdown(std::ostream& out, const Table& table) {
  out << "### " << table.title << "\n\n" << table.note << "\n\n| " << table.quantity << " |";
  for (const Peer& peer : peers()) out << ' ' << peer.name << " |";
  out << "\n|---|";
  for (std::size_t i = 0; i < peers().size(); ++i) out << "---:|";
  for (const Row& row : table.rows) {
    out << "\n| " << row.label << " |";
    for (const double figure : row.figures)
      out << ' ' << (std::isnan(figure) ? "–" : table.format(figure)) << " |";
  }
  out << "\n\n";
}

// A figure that was not measured is left out; one of an output that is NaN or Inf is null.
inline void write_json(std::ostream& out, const std::string& measured, const std::vector<Table>& tables) {
#if ACCURACY_JSON
  using Json = nlohmann::ordered_json;
  Json json = {{"measured", measured}, {"tables", Json::array()}};
  for (const Table& table : tables) {
    Json rows = Json::array();
    for (const Row& row : table.rows) {
      Json entry = {{table.quantity, row.label}};
      for (std::size_t i = 0; i < peers().size(); ++i) {
        if (!std::isnan(row.figures[i])) entry[peers()[i].name] = row.figures[i];
      }
      rows.push_back(entry);
    }
    json["tables"].push_back({{"title", table.title}, {"note", table.note}, {"rows", rows}});
  }
  out << json.dump(2) << '\n';
#else
  static_cast<void>(out), static_cast<void>(measured), static_cast<void>(tables);
#endif
}

}  // namespace accuracy
