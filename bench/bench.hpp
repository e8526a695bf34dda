// The common part of all workloads: settings, clock and output of results.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/random.hpp"
#include "framework/core/tensor.hpp"
#include "framework/graph/tape.hpp"

namespace bench {

/// An invalid command line.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A number that a workload accepts on the command line as KEY=VALUE.
struct Setting {
  const char* key;
  double value;  // the default
  double least = 1;
  double most = 1e9;
  bool whole = true;
  std::vector<const char*> names = {};  // if not empty: VALUE is a name, which stands for its index
};

/// The numbers that a workload runs with.
class Settings {
 public:
  /// Starts from the defaults and applies words such as "m=64". Throws UsageError for an unknown
  /// key, and for a value that is not a number or out of range.
  Settings(std::string workload, std::vector<Setting> known, int threads, double seconds,
           const std::vector<std::string>& words);

  int64_t operator[](const char* key) const { return static_cast<int64_t>(number(key)); }
  double number(const char* key) const;

  const std::string& workload() const { return workload_; }
  int threads() const { return threads_; }
  double seconds() const { return seconds_; }

 private:
  std::string workload_;
  std::vector<Setting> settings_;
  int threads_;
  double seconds_;
};

struct Workload {
  const char* name;
  std::vector<Setting> settings;
  void (*run)(const Settings& settings);
};

/// Single operators, and the cost of recording and planning.
std::vector<Workload> kernel_workloads();
/// The overhead of the executor.
std::vector<Workload> graph_workloads();
/// Convolutions and pooling.
std::vector<Workload> plane_workloads();
/// Whole training steps.
std::vector<Workload> model_workloads();
/// Translation by beam search.
std::vector<Workload> decoding_workloads();

struct Timing {
  double median, least;  // seconds per run
  int runs;
  double peak_rss_mb;  // of the process, after the last run
};

/// Calls step() 3 times to warm up. Then measures at least 5 calls, for at least `seconds`.
Timing repeat(const std::function<void()>& step, double seconds);

/// Prints the results as one line with a JSON object, which ends with `figures`.
void report(const Settings& settings, int threads, const Timing& timing,
            const std::vector<std::pair<std::string, double>>& figures);
inline void report(const Settings& settings, const Timing& timing,
                   const std::vector<std::pair<std::string, double>>& figures) {
  report(settings, settings.threads(), timing, figures);
}

/// Returns `amount` per second in units of 10^9, for the median time.
inline double giga(double amount, const Timing& timing) { return amount / timing.median / 1e9; }

/// Computes the output and the gradients of `inputs`, with `seed` as the gradient of the output.
/// Requests all of them, so that the planner cannot omit any part.
std::vector<rapt::Tensor> forward_backward(const rapt::Var& output, const rapt::Tensor& seed,
                                           std::initializer_list<rapt::Var> inputs);

/// Draws int32 numbers independently from low .. high - 1.
rapt::Tensor random_ids(rapt::Key key, const rapt::Shape& shape, int64_t low, int64_t high);

/// Throws if floats are not all finite, or are all zero, which means that nothing was computed.
void check_computed(const rapt::Tensor& result, const char* what);
void check_all(const std::vector<rapt::Tensor>& results, const Settings& settings);

}  // namespace bench
