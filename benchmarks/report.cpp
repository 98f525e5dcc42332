// The table of README.md: simdnorm against plain loops, Eigen expressions and memcpy, on the shapes of real
// models.
//
// Google Benchmark measures; here is what it measures, row by row, and how a person reads it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/candidates.hpp"
#include "support/machine.hpp"
#include "support/operands.hpp"
#include "support/real_data.hpp"
#include "support/shapes.hpp"
#include "support/typed_operations.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace {

using namespace bench;

constexpr int default_rounds = 7;

const char usage[] = R"(usage: simdnorm_report [option]...
Measures simdnorm against plain loops, Eigen expressions and memcpy, and prints one table.

  --json FILE                  also writes all figures, each round by itself, as Google Benchmark's JSON
  --data FILE                  the real input; the format is that of tests/data/ln0.bin, the default
  --offset BYTES               the arrays begin so many bytes after a cache line, a multiple of 8 below 64; the default is 0,
                               arrays of malloc and std::vector begin 16 bytes after one
  --benchmark_filter=REGEX     only rows whose name matches, say layer_norm_backward/BERT-base
  --benchmark_repetitions=N    rounds (7)
  --benchmark_min_time=SECONDS of one measurement in a round (0.01)
  and other options of Google Benchmark.
)";

struct Options {
  std::string json, data, offset = "0", filter = ".";
  bool help = false;
  std::vector<std::string> others;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto takes = [&](const std::string& option, std::string& value) {
      if (argument.rfind(option + "=", 0) == 0) {
        value = argument.substr(option.size() + 1);
        return true;
      }
      if (argument != option) return false;
      if (i + 1 == argc) throw std::runtime_error(option + " needs a value");
      value = argv[++i];
      return true;
    };
    std::string format = "json";
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (takes("--benchmark_out_format", format)) {
      if (format != "json") throw std::runtime_error("only json can be written");
    } else if (!takes("--json", options.json) && !takes("--benchmark_out", options.json) &&
               !takes("--data", options.data) && !takes("--offset", options.offset) &&
               !takes("--benchmark_filter", options.filter)) {
      options.others.push_back(argument);
    }
  }
  return options;
}

bench::Index offset_of(const std::string& text) {
  bench::Index bytes = -1;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, bytes);
  if (error != std::errc{} || stopped != end || bytes < 0 || bytes > 63 || bytes % 8 != 0)
    throw std::runtime_error("--offset must be a multiple of 8 from 0 to 56 but is " + text);
  return bytes;
}

/// One line of the table: an operation on a shape, and how long each candidate took, in seconds.
struct Row {
  Norm norm;
  Pass pass;
  Type type;
  std::string name, what, size;
  bench::Index bytes_moved = 0;
  std::map<std::string, double> seconds;
  double of(const std::string& candidate) const {
    const auto found = seconds.find(candidate);
    return found == seconds.end() ? 0 : found->second;
  }
};

/// Takes the figures that Google Benchmark measures, and hands them on to its own writer of JSON.
class Figures : public benchmark::BenchmarkReporter {
 public:
  explicit Figures(const std::string& json_file) {
    if (json_file.empty()) return;
    file_.open(json_file);
    if (!file_) throw std::runtime_error(json_file + ": cannot be written");
    json_.SetOutputStream(&file_);
    json_.SetErrorStream(&std::cerr);
  }
  bool ReportContext(const Context& context) override {
    if (file_.is_open() && !started_) started_ = json_.ReportContext(context);
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    if (file_.is_open()) json_.ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      const std::string name = run.run_name.function_name;
      rounds_[name.substr(name.rfind('/') + 1)].push_back(run.GetAdjustedCPUTime() /
                                                          benchmark::GetTimeUnitMultiplier(run.time_unit));
    }
  }
  /// The median of the rounds of each candidate since the last call.
  std::map<std::string, double> take_medians() {
    std::map<std::string, double> medians;
    for (auto& [candidate, seconds] : rounds_) {
      const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
      std::nth_element(seconds.begin(), middle, seconds.end());
      medians[candidate] = *middle;
      rounds_done_ = static_cast<int>(seconds.size());
    }
    rounds_.clear();
    return medians;
  }
  int rounds_done() const { return rounds_done_; }
  void finish() {
    if (started_) json_.Finalize();
  }

 private:
  std::ofstream file_;
  benchmark::JSONReporter json_;
  bool started_ = false;
  int rounds_done_ = 0;
  std::map<std::string, std::vector<double>> rounds_;
};

/// Says on stderr what is being measured: on a terminal in one line that is written over, elsewhere in one
/// line an operation.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total) {
#if defined(__unix__) || defined(__APPLE__)
    terminal_ = isatty(2) == 1;
#endif
  }
  void next(const std::string& operation, const std::string& what) {
    ++done_;
    if (terminal_) {
      std::fprintf(stderr, "\r[%2zu/%zu] %-76s", done_, total_, (operation + ", " + what).c_str());
    } else if (operation != last_) {
      std::fprintf(stderr, "[%2zu/%zu] %s (after %.0f s)\n", done_, total_, operation.c_str(), seconds());
    }
    std::fflush(stderr);
    last_ = operation;
  }
  void finish() const {
    std::fprintf(stderr, "%s%zu rows in %.0f s%60s\n", terminal_ ? "\r" : "", done_, seconds(), "");
  }

 private:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  std::size_t total_, done_ = 0;
  bool terminal_ = false;
  std::string last_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<Candidate> candidates_of(const Row& row) {
  for (const TypedOperation& typed : typed_operations) {
    if (typed.norm == row.norm && typed.pass == row.pass && typed.type == row.type) return typed.candidates();
  }
  return row.norm == Norm::layer ? candidates<Norm::layer>(row.pass) : candidates<Norm::rms>(row.pass);
}

/// Checks each candidate's output, then lets the candidates take turns.
void measure(Row& row, const Operands& operands, Figures& figures) {
  const auto time = [&](const Candidate& who, const Bound& call) {
    benchmark::RegisterBenchmark((row.name + "/" + who.name).c_str(), [call, &row](benchmark::State& state) {
      call.timed(state);
      state.SetBytesProcessed(state.iterations() * row.bytes_moved);
      state.SetLabel(row.what);
    });
  };
  const Candidate yardstick = memcpy_of(row.pass);
  time(yardstick, yardstick.bind(operands.view()));
  for (const Candidate& who : candidates_of(row)) {
    const Bound call = who.bind(operands.view());
    const std::string error = operands.check(call.once);
    if (!error.empty()) throw std::runtime_error(row.name + "/" + who.name + " is wrong: " + error);
    time(who, call);
  }
  benchmark::RunSpecifiedBenchmarks(&figures, ".");
  benchmark::ClearRegisteredBenchmarks();
  row.seconds = figures.take_medians();
}

// --- the table ---------------------------------------------------------------------------------------------

std::string format(const char* pattern, double value) {
  char text[32];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

/// Three digits: "81.2 ns", "1.04 ms".
std::string duration(double seconds) {
  const char* units[] = {"ns", "us", "ms", "s"};
  double value = seconds * 1e9;
  int unit = 0;
  for (; unit < 3 && value >= 999.5; ++unit) value /= 1000;
  return format(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value) + " " + units[unit];
}

void print_heading(int cpu, int rounds) {
  const std::string where = cpu < 0 ? "not pinned" : "pinned to CPU " + std::to_string(cpu);
  std::printf("\nsimdnorm %d.%d.%d, float where no other type is named, one thread, %s\n",
              SIMDNORM_VERSION_MAJOR, SIMDNORM_VERSION_MINOR, SIMDNORM_VERSION_PATCH, where.c_str());
  std::printf("  on         %s: %s\n", cpu_model().c_str(), cache_sizes().c_str());
  std::printf("  built with %s for %s\n", compiler().c_str(), instruction_set().c_str());
  std::printf(
      "  time       of a processor for one call, median of %d rounds in which the candidates take turns; "
      "all\n"
      "             calls use the same arrays, so that what fits into a cache is found there\n",
      rounds);
  if (Arena::offset != 0)
    std::printf("  arrays     begin %lld bytes after a cache line\n", static_cast<long long>(Arena::offset));
  std::printf("  naive      plain scalar loops\n");
  std::printf("  Eigen      the faster of a Tensor and an Array expression\n");
  std::printf("  speedup    simdnorm against the faster of naive and Eigen\n");
  std::printf("  x memcpy   time of simdnorm / time memcpy takes to read and write as many bytes\n");
  std::printf(
      "  GB/s       of simdnorm; the bytes of x and y (forward) or dy, x and dx (backward), each once\n");
  std::printf("  bf16, fp16 of x, y, dy and dx; all is computed in float, and gamma and beta are float\n");
  std::printf(
      "  int8       float x, y as codes with a scale for each row; naive and Eigen quantize y in a second "
      "loop\n\n");
}

void print_table(const std::vector<Row>& rows) {
  const char* layout = "%-32s %13s %9s %9s %9s %9s %9s %7s\n";
  std::string last;
  for (const Row& row : rows) {
    const std::string what = operation(row.norm, row.pass, row.type);
    if (what != last) {
      std::printf(layout, what.c_str(), "rows x hidden", "naive", "Eigen", "simdnorm", "speedup", "x memcpy",
                  "GB/s");
    }
    last = what;
    double eigen = row.of("eigen_array");  // not all operations have a Tensor expression
    if (row.seconds.count("eigen_tensor") != 0) eigen = std::min(eigen, row.of("eigen_tensor"));
    const double ours = row.of("simdnorm");
    std::printf(layout, ("  " + row.what).c_str(), row.size.c_str(), duration(row.of("naive")).c_str(),
                duration(eigen).c_str(), duration(ours).c_str(),
                format("%.1fx", std::min(row.of("naive"), eigen) / ours).c_str(),
                format("%.2f", ours / row.of("memcpy")).c_str(),
                format("%.1f", static_cast<double>(row.bytes_moved) / ours * 1e-9).c_str());
  }
}

int run(int argc, char** argv) {
  Options options = parse(argc, argv);
  if (options.help) {
    std::fputs(usage, stdout);
    return 0;
  }
  Arena::offset = offset_of(options.offset);
#if defined(SIMDNORM_DATA_DIR)
  if (options.data.empty()) options.data = SIMDNORM_DATA_DIR "/ln0.bin";
#endif
  if (options.data.empty())
    throw std::runtime_error("this build knows no real input: give one with --data FILE");
  const RealData real = read_real_data(options.data);

  // Google Benchmark takes what it knows; ours come first, so that the user's override them.
  std::vector<std::string> words = {argv[0], "--benchmark_enable_random_interleaving=true",
                                    "--benchmark_min_time=0.01",
                                    "--benchmark_repetitions=" + std::to_string(default_rounds)};
  words.insert(words.end(), options.others.begin(), options.others.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;

  struct Job {
    Row row;
    Shape shape;
    bool real;
  };
  std::vector<Job> jobs;
  const std::regex filter(options.filter, std::regex::extended);
  const auto add = [&](const Job& job) {
    if (std::regex_search(job.row.name, filter)) jobs.push_back(job);
  };
  for (const Norm norm : {Norm::layer, Norm::rms}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      const std::string prefix = path(norm, pass) + "/";
      for (const Shape& shape : norm == Norm::layer ? layer_norm_table() : rms_norm_table()) {
        add({{norm,
              pass,
              Type::float32,
              prefix + path(shape),
              label(shape),
              dimensions(shape.rows(), shape.hidden()),
              0,
              {}},
             shape,
             false});
      }
      if (norm == Norm::layer && pass == Pass::forward) {
        const std::string size = dimensions(real.rows, real.hidden);
        add({{norm, pass, Type::float32, prefix + "real/" + size, "real input, " + real.name, size, 0, {}},
             {},
             true});
      }
    }
  }
  for (const TypedOperation& typed : typed_operations) {
    for (const Shape& shape : typed_table(typed.norm)) {
      const std::string name = path(typed.norm, typed.pass, typed.type) + "/" + path(shape);
      add({{typed.norm,
            typed.pass,
            typed.type,
            name,
            label(shape),
            dimensions(shape.rows(), shape.hidden()),
            0,
            {}},
           shape,
           false});
    }
  }
  if (jobs.empty()) throw std::runtime_error("no row matches " + options.filter);

  const int cpu = pin_to_one_cpu();
  benchmark::AddCustomContext("cpu", cpu_model());
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::AddCustomContext("instruction_set", instruction_set());
  benchmark::AddCustomContext("offset", options.offset);
  Figures figures(options.json);
  Progress progress(jobs.size());
  std::vector<Row> rows;
  for (Job& job : jobs) {
    Row& row = job.row;
    progress.next(operation(row.norm, row.pass, row.type), row.what);
    if (job.real) {
      const Operands operands(row.norm, row.pass, real);
      row.bytes_moved = operands.bytes_moved();
      measure(row, operands, figures);
    } else {
      const Operands operands(row.norm, row.pass, job.shape, row.type);
      row.bytes_moved = operands.bytes_moved();
      measure(row, operands, figures);
    }
    rows.push_back(row);
  }
  figures.finish();
  progress.finish();
  print_heading(cpu, figures.rounds_done());
  print_table(rows);
  if (!build_warning().empty()) std::printf("\nThese figures mean nothing: %s.\n", build_warning().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "\nsimdnorm_report: %s\n", error.what());
    return 2;
  }
}
