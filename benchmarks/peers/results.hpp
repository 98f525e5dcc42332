// The figures of the program, and how they are written: CSV, JSON with nlohmann's library, a table in Markdown.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "../support/shapes.hpp"
#include "peer.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define PEERS_JSON 1
#else
#define PEERS_JSON 0
#endif

namespace bench {

constexpr bool has_json = PEERS_JSON;

struct Spread {
  double low, median, high;  // quartiles
};

/// Linear between the two nearest values.
inline Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    const double place = part * static_cast<double>(values.size() - 1), below = std::floor(place);
    const auto i = static_cast<std::size_t>(below);
    const double next = values[std::min(i + 1, values.size() - 1)];
    return values[i] + (place - below) * (next - values[i]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

/// One candidate on one shape. The ratios are formed within a round.
struct Figure {
  std::string candidate;
  bool is_norm;       // else a yardstick
  Index calls;        // in one measurement
  Spread seconds;     // of one call
  Spread x_memcpy;    // its time ÷ that of memcpy
  Spread x_simdnorm;  // its time ÷ that of simdnorm
};

struct Row {
  Norm norm;
  Pass pass;
  Type type;
  Index rows, hidden, bytes_moved;
  std::vector<Figure> figures;

  const Figure* of(const std::string& candidate) const {
    for (const Figure& figure : figures) {
      if (figure.candidate == candidate) return &figure;
    }
    return nullptr;
  }
  double gb_per_second(const Figure& figure) const {
    return static_cast<double>(bytes_moved) / figure.seconds.median * 1e-9;
  }
};

/// The machine, the date, versions, the method: what the figures depend on, as names and values.
using About = std::vector<std::pair<std::string, std::string>>;

struct Results {
  About about;
  std::map<std::string, std::string> versions;
  std::vector<std::string> not_installed;
  std::vector<Row> rows;
};

inline std::string print(const char* form, double value) {
  char text[64];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

// --- files ---

/// What the figures depend on stands above them in lines that start with #.
inline void write_csv(std::ostream& out, const Results& results) {
  for (const auto& [name, value] : results.about) out << "# " << name << ": " << value << '\n';
  for (const auto& [library, version] : results.versions) out << "# " << library << ": " << version << '\n';
  out << "operation,rows,hidden,bytes_moved,candidate,calls,gb_per_second";
  for (const char* quantity : {"seconds", "x_memcpy", "x_simdnorm"})
    out << ',' << quantity << ',' << quantity << "_q1," << quantity << "_q3";
  out << '\n';
  for (const Row& row : results.rows) {
    for (const Figure& figure : row.figures) {
      out << path(row.norm, row.pass, row.type) << ',' << row.rows << ',' << row.hidden << ','
          << row.bytes_moved << ',' << figure.candidate << ',' << figure.calls << ','
          << print("%.4g", row.gb_per_second(figure));
      for (const Spread& s : {figure.seconds, figure.x_memcpy, figure.x_simdnorm}) {
        out << print(",%.5g", s.median) << print(",%.5g", s.low) << print(",%.5g", s.high);
      }
      out << '\n';
    }
  }
}

inline void write_json(std::ostream& out, const Results& results) {
#if PEERS_JSON
  using Json = nlohmann::ordered_json;
  const auto json_of = [](const Spread& s) {
    return Json{{"q1", s.low}, {"median", s.median}, {"q3", s.high}};
  };
  Json json;
  for (const auto& [name, value] : results.about) json[name] = value;
  json["versions"] = results.versions;
  json["not_installed"] = results.not_installed;
  json["rows"] = Json::array();
  for (const Row& row : results.rows) {
    Json candidates = Json::array();
    for (const Figure& figure : row.figures) {
      candidates.push_back({{"candidate", figure.candidate},
                            {"calls", figure.calls},
                            {"seconds", json_of(figure.seconds)},
                            {"x_memcpy", json_of(figure.x_memcpy)},
                            {"x_simdnorm", json_of(figure.x_simdnorm)},
                            {"gb_per_second", row.gb_per_second(figure)}});
    }
    json["rows"].push_back({{"operation", path(row.norm, row.pass, row.type)},
                            {"rows", row.rows},
                            {"hidden", row.hidden},
                            {"bytes_moved", row.bytes_moved},
                            {"candidates", candidates}});
  }
  out << json.dump(2) << '\n';
#else
  static_cast<void>(out), static_cast<void>(results);
#endif
}

// --- the table ---

/// Of all rows of one operation, which have the same candidates.
inline void write_table(std::ostream& out, const std::vector<Row>& rows) {
  const auto is_simdnorm = [](const Figure& figure) { return figure.candidate.rfind("simdnorm", 0) == 0; };
  out << "\n### " << operation(rows[0].norm, rows[0].pass, rows[0].type) << "\n\n| rows x hidden | memcpy |";
  std::string line = "|---|---:|";
  for (const Figure& figure : rows[0].figures) {
    if (figure.candidate == "memcpy") continue;
    out << ' ' << figure.candidate << " |";
    line += "---:|";
  }
  out << " fastest other ÷ simdnorm |\n" << line << "---:|\n";
  for (const Row& row : rows) {
    out << "| " << dimensions(row.rows, row.hidden) << " |";
    const Figure* other = nullptr;
    for (const Figure& figure : row.figures) {
      if (figure.candidate == "memcpy") {
        out << ' ' << print("%.4g", figure.seconds.median * 1e6) << " µs |";
        continue;
      }
      out << ' ' << print("%.2f", figure.x_memcpy.median) << " |";
      if (figure.is_norm && !is_simdnorm(figure) && (!other || figure.seconds.median < other->seconds.median))
        other = &figure;
    }
    out << (other ? ' ' + print("%.2f", other->x_simdnorm.median) + " (" + other->candidate + ") |\n"
                  : " |\n");
  }
}

inline void write_markdown(std::ostream& out, const Results& results) {
  for (const auto& [name, value] : results.about) out << "* " << name << ": " << value << '\n';
  for (const auto& [library, version] : results.versions) out << "* " << library << ": " << version << '\n';
  for (const std::string& library : results.not_installed) out << "* not installed: " << library << '\n';
  out << "\nTime as a multiple of memcpy's for the same bytes; median over the rounds.\n";
  for (auto row = results.rows.begin(); row != results.rows.end();) {
    const auto end = std::find_if(row, results.rows.end(), [&](const Row& other) {
      return other.norm != row->norm || other.pass != row->pass || other.type != row->type;
    });
    write_table(out, {row, end});
    row = end;
  }
}

}  // namespace bench
