// Times simdnorm against other libraries, each called as its own users call it, and against plain loops, Eigen's
// Array expressions and memcpy. Every candidate's output is checked before it is timed.
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "../support/candidates.hpp"
#include "../support/machine.hpp"
#include "loops.hpp"
#include "moves.hpp"
#include "results.hpp"

namespace {

using namespace bench;

constexpr const char* usage = R"(usage: simdnorm_peers [option]...
Times simdnorm and other libraries, and prints the times as multiples of memcpy's in tables in Markdown.

  --csv FILE          also writes all figures, with their quartiles, as CSV
  --json FILE         or as JSON
  --shapes R1xH1,...  rows x hidden; 1x768 to 65536x128 if not given
  --operations O,...  of layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward, and of sums with a
                      residual, layer_norm_residual and rms_norm_residual, in float, and layer_norm_forward_bf16,
                      layer_norm_backward_bf16
  --threads N         of simdnorm, and of the libraries that have threads (1)
  --rounds N          in which the candidates take turns (21)
  --quick             three small shapes and few rounds: to try the program, not to measure
)";

struct Options {
  std::string csv, json, operations;
  std::string shapes =
      "1x768,8x1024,128x768,512x768,2048x1024,8192x1024,4096x4096,1024x8192,65536x64,65536x128";
  int threads = 1, rounds = 21;
  double seconds = 2e-3;  // of one measurement, if it is not a single call
  bool help = false;
};

Options parse(int argc, char** argv) {
  Options options;
  const auto number = [](const std::string& text) {
    const int value =
        text.find_first_not_of("0123456789") == std::string::npos && !text.empty() && text.size() < 6
            ? std::stoi(text)
            : 0;
    if (value < 1) throw std::runtime_error(text + " is no number of threads or rounds");
    return value;
  };
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) throw std::runtime_error(argument + " needs a value");
      return argv[++i];
    };
    if (argument == "--csv") {
      options.csv = value();
    } else if (argument == "--json") {
      options.json = value();
      if (!has_json) throw std::runtime_error("built without nlohmann's JSON library (nlohmann-json3-dev)");
    } else if (argument == "--shapes") {
      options.shapes = value();
    } else if (argument == "--operations") {
      options.operations = value();
    } else if (argument == "--threads") {
      options.threads = number(value());
    } else if (argument == "--rounds") {
      options.rounds = number(value());
    } else if (argument == "--quick") {
      options.shapes = "1x768,8x1024,128x768";
      options.rounds = 5;
      options.seconds = 2e-4;
    } else if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else {
      throw std::runtime_error(argument + " is no option; --help lists them");
    }
  }
  return options;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::vector<Shape> shapes_of(const std::string& text) {
  std::vector<Shape> shapes;
  for (const std::string& part : split(text, ',')) {
    long long rows = 0, hidden = 0;
    char rest = 0;
    if (std::sscanf(part.c_str(), "%lldx%lld%c", &rows, &hidden, &rest) != 2 || rows < 1 || hidden < 1 ||
        rows > (1ll << 31) / hidden)
      throw std::runtime_error(part + " is no shape; one is written 512x768");
    shapes.push_back({{"", hidden, 1}, rows});
  }
  if (shapes.empty()) throw std::runtime_error("no shapes");
  return shapes;
}

// --- the candidates ---

struct Contender {
  std::string name;
  std::function<Call(const View&)> prepare;
  bool is_norm = true;  // memcpy, moves and loops are none, and are not checked
  bool rounds_everywhere = false;
};

Call bound(const Candidate& candidate, const View& v) {
  return {candidate.bind(v).repeated, [] {}};
}

/// simdnorm's functors on a device, on rows of T.
template <class T, class Device>
Call simdnorm_on(const View& v, Norm norm, Pass pass, bool keep_moments, Device device) {
  const RowsOf<T> rows(v);
  const InOf<T> x(rows.x, v.rows, v.hidden), dy(rows.dy, v.rows, v.hidden);
  const OutOf<T> y(rows.y, v.rows, v.hidden), dx(rows.dx, v.rows, v.hidden);
  const OutVector dgamma(v.dgamma, v.hidden), dbeta(v.dbeta, v.hidden);
  const auto forward_of = [=](const auto& functor, const auto& read) {
    if (!keep_moments) return call([=] { functor.forward(read(), y, *device); });
    return call([=, moments = std::make_shared<simdnorm::Moments<float>>()] {
      functor.forward(read(), y, *moments, *device);
    });
  };
  const auto forward = [=](const auto& functor) {
    if constexpr (std::is_same_v<T, float>) {
      const auto sum = std::make_shared<Out>(v.sum, v.rows, v.hidden);
      if (pass == Pass::residual)
        return forward_of(functor, [x, residual = std::make_shared<In>(v.residual, v.rows, v.hidden), sum] {
          return simdnorm::residual_sum(x, *residual, *sum);
        });
    }
    return forward_of(
        functor, [x]() -> const auto& { return x; });
  };
  if (norm == Norm::layer) {
    const auto functor = layer_norm_of(v);
    if (pass != Pass::backward) return forward(functor);
    return call([=] { functor.backward(dy, x, *v.moments, dx, dgamma, dbeta, *v.workspace, *device); });
  }
  if constexpr (std::is_same_v<T, float>) {
    const auto functor = rms_norm_of(v);
    if (pass != Pass::backward) return forward(functor);
    return call([=] { functor.backward(dy, x, *v.moments, dx, dgamma, *v.workspace, *device); });
  } else {
    throw std::logic_error("no such operation");
  }
}

/// call_on(device) with one of so many threads.
template <class CallOn> Call on_threads(int threads, const CallOn& call_on) {
  if (threads == 1) return call_on(std::make_shared<Eigen::DefaultDevice>());
  static Eigen::ThreadPool pool(threads);
  return call_on(std::make_shared<Eigen::ThreadPoolDevice>(&pool, pool.NumThreads()));
}

/// What is timed.
struct Operation {
  Norm norm;
  Pass pass;
  Type type = Type::float32;
  std::string path() const { return bench::path(norm, pass, type); }
};
const Operation operations[] = {{Norm::layer, Pass::forward},
                                {Norm::layer, Pass::backward},
                                {Norm::rms, Pass::forward},
                                {Norm::rms, Pass::backward},
                                {Norm::layer, Pass::residual},
                                {Norm::rms, Pass::residual},
                                {Norm::layer, Pass::forward, Type::bfloat16},
                                {Norm::layer, Pass::backward, Type::bfloat16}};

std::vector<Candidate> baselines(const Operation& o) {
  using Eigen::bfloat16;
  if (o.type == Type::bfloat16)
    return o.pass == Pass::forward ? forward_candidates<Norm::layer, bfloat16>()
                                   : backward_candidates<Norm::layer, bfloat16>();
  return o.norm == Norm::layer ? candidates<Norm::layer>(o.pass) : candidates<Norm::rms>(o.pass);
}

std::vector<Contender> contenders(const Operation& o) {
  std::vector<Contender> list;
  const auto add = [&](const Candidate& candidate, bool is_norm) {
    list.push_back({candidate.name, [candidate](const View& v) { return bound(candidate, v); }, is_norm});
  };
  add(memcpy_of(o.pass), false);
  const auto add_moves = [&](const char* name, auto past_caches) {
    const auto prepare = [pass = o.pass](const View& v) {
      return on_threads(peer_threads(),
                        [&](auto device) { return moves<decltype(past_caches)::value>(v, pass, device); });
    };
    list.push_back({name, prepare, false});
  };
  add_moves("moves", std::false_type{});
  add_moves("moves (past caches)", std::true_type{});
  if (peer_threads() == 1 && o.type == Type::float32 && o.pass != Pass::residual)
    list.push_back({"loops", [o](const View& v) { return loops(v, o.norm, o.pass); }, false});
  if (peer_threads() == 1) {
    for (const Candidate& candidate : baselines(o)) {
      if (candidate.name == "naive" || candidate.name == "eigen_array") add(candidate, true);
    }
  }
  const auto simdnorm = [&](bool keep_moments, int threads) {
    return [=](const View& v) {
      return on_threads(threads, [&](auto device) {
        return o.type == Type::float32
                   ? simdnorm_on<float>(v, o.norm, o.pass, keep_moments, device)
                   : simdnorm_on<Eigen::bfloat16>(v, o.norm, o.pass, keep_moments, device);
      });
    };
  };
  list.push_back({"simdnorm", simdnorm(false, peer_threads())});
  if (o.pass != Pass::backward) list.push_back({"simdnorm (training)", simdnorm(true, peer_threads())});
  if (peer_threads() > 1) list.push_back({"simdnorm (one thread)", simdnorm(false, 1)});
  for (const Peer& peer : all_peers()) {
    if (peer.norm == o.norm && peer.pass == o.pass && peer.type == o.type)
      list.push_back({peer.name(), peer.prepare, true, peer.rounds_everywhere});
  }
  return list;
}

// --- measuring ---

double seconds_of(const Call& call, Index calls) {
  const auto start = std::chrono::steady_clock::now();
  call.repeated(calls);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Makes calls that are not timed. The library before lets its threads look for work for some milliseconds, and those of this call
/// need some until they run on processors of their own.
void begin_turn(const Call& call, const Options& options) {
  if (options.threads == 1) return call.repeated(1);  // finds its own arrays in the cache again
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (double seconds = 0; seconds < 20e-3;) seconds += seconds_of(call, 1);
}

/// So many calls take about as long as was asked for, or longer.
Index calibrated(const Call& call, double seconds) {
  for (Index calls = 1;;) {
    const double took = seconds_of(call, calls);
    if (took >= seconds / 2)
      return std::max<Index>(1, static_cast<Index>(static_cast<double>(calls) * seconds / took));
    calls *= took > 0 ? std::clamp<Index>(static_cast<Index>(seconds / took), 2, 100) : 100;
  }
}

/// Checks all candidates, then lets them take turns, in another order each round.
Row measure(const Operation& o, const Shape& shape, const Options& options) {
  const Operands operands(o.norm, o.pass, shape, o.type);
  Row row{o.norm, o.pass, o.type, shape.rows(), shape.hidden(), operands.bytes_moved(), {}};
  struct Entrant {
    std::string name;
    bool is_norm;
    Call call;
    Index calls = 0;
    std::vector<double> seconds = {};
  };
  std::vector<Entrant> entrants;
  static std::set<std::string> said;
  for (const Contender& contender : contenders(o)) {
    Entrant entrant{contender.name, contender.is_norm, {}};
    try {
      entrant.call = contender.prepare(operands.view());
    } catch (const Unsupported& why) {
      if (said.insert(why.what()).second) std::cerr << "left out: " << why.what() << '\n';
      continue;
    }
    if (contender.is_norm) {
      const std::string error = operands.check(
          [&] {
            entrant.call.repeated(1);
            entrant.call.collect();
          },
          contender.rounds_everywhere);
      if (!error.empty()) throw std::runtime_error(contender.name + " is wrong: " + error);
    }
    begin_turn(entrant.call, options);
    entrant.calls = calibrated(entrant.call, options.seconds);
    entrants.push_back(std::move(entrant));
  }

  std::vector<std::size_t> order(entrants.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(42);
  for (int round = 0; round < options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      Entrant& entrant = entrants[i];
      begin_turn(entrant.call, options);
      entrant.seconds.push_back(seconds_of(entrant.call, entrant.calls) / static_cast<double>(entrant.calls));
    }
  }

  const auto named = [&](const std::string& name) -> const std::vector<double>& {
    const auto found =
        std::find_if(entrants.begin(), entrants.end(), [&](const Entrant& e) { return e.name == name; });
    return found->seconds;
  };
  const auto against = [](std::vector<double> seconds, const std::vector<double>& other) {
    for (std::size_t round = 0; round < seconds.size(); ++round) seconds[round] /= other[round];
    return spread(std::move(seconds));
  };
  for (const Entrant& entrant : entrants) {
    row.figures.push_back({entrant.name, entrant.is_norm, entrant.calls, spread(entrant.seconds),
                           against(entrant.seconds, named("memcpy")),
                           against(entrant.seconds, named("simdnorm"))});
  }
  return row;
}

// --- the program ---

std::string date() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return text;
}

std::ofstream opened(const std::string& file) {
  std::ofstream out;
  if (!file.empty()) {
    out.open(file);
    if (!out) throw std::runtime_error(file + ": cannot be written");
  }
  return out;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.help) {
    std::cout << usage;
    return 0;
  }
  const std::vector<Shape> shapes = shapes_of(options.shapes);
  std::ofstream csv = opened(options.csv), json = opened(options.json);
  Results results;
  results.not_installed = split(PEERS_NOT_INSTALLED, '|');
  for (const std::string& library : results.not_installed)
    std::cerr << "left out, not installed when this was built: " << library << '\n';
  if (!build_warning().empty()) std::cerr << "these figures mean nothing: " << build_warning() << '\n';

  peer_threads() = options.threads;
  const std::vector<int> cpus = pin_to_cpus(options.threads);
  std::string pinned;
  for (const int cpu : cpus) pinned += (pinned.empty() ? "" : ", ") + std::to_string(cpu);
  results.about = {{"processor", cpu_model()},
                   {"caches", cache_sizes()},
                   {"date", date()},
                   {"compiler", compiler()},
                   {"instruction set of simdnorm, naive and eigen_array", instruction_set()},
                   {"type", "float, or the one that an operation names"},
                   {"threads", std::to_string(options.threads)},
                   {"pinned to CPU", pinned.empty() ? "none" : pinned},
                   {"rounds", std::to_string(options.rounds)}};
  results.versions["simdnorm"] = std::to_string(SIMDNORM_VERSION_MAJOR) + "." +
                                 std::to_string(SIMDNORM_VERSION_MINOR) + "." +
                                 std::to_string(SIMDNORM_VERSION_PATCH);
  results.versions["Eigen"] = std::to_string(EIGEN_WORLD_VERSION) + "." +
                              std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION);
  for (const Peer& peer : all_peers()) results.versions[peer.library] = peer.version;

  const std::vector<std::string> wanted = split(options.operations, ',');
  for (const std::string& name : wanted) {
    if (std::none_of(std::begin(operations), std::end(operations),
                     [&](const Operation& o) { return o.path() == name; }))
      throw std::runtime_error(name + " is no operation; --help lists them");
  }
  for (const Operation& o : operations) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), o.path()) == wanted.end()) continue;
    for (const Shape& shape : shapes) {
      std::cerr << operation(o.norm, o.pass, o.type) << ' ' << dimensions(shape.rows(), shape.hidden())
                << " ...\n";
      results.rows.push_back(measure(o, shape, options));
    }
  }
  if (csv.is_open()) write_csv(csv, results);
  if (json.is_open()) write_json(json, results);
  write_markdown(std::cout, results);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "simdnorm_peers: " << error.what() << '\n';
    return 1;
  }
}
