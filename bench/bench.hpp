// What the workloads share: their settings, the clock and the line of results.
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

/// A command line that asks for what there is not.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A number that a workload takes from the command line as KEY=VALUE.
struct Setting {
  const char* key;
  double value;  // unless the command line has another
  double least = 1;
  double most = 1e9;
  bool whole = true;
  std::vector<const char*> names = {};  // where there are some, a name's number is the value
};

/// The numbers that a workload runs with.
class Settings {
 public:
  /// The defaults, overwritten by words such as "m=64". Throws UsageError for an unknown key and
  /// for a value that is no number or not in its range.
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
/// What the executor costs.
std::vector<Workload> graph_workloads();
/// Convolutions and pooling.
std::vector<Workload> plane_workloads();
/// Whole training steps.
std::vector<Workload> model_workloads();
/// Translation by beam search.
std::vector<Workload> decoding_workloads();

struct Timing {
  double median, least;  // seconds a run
  int runs;
  double peak_rss_mb;  // of the process, when the last run had ended
};

/// Calls step() 3 times, then for at least 5 times and `seconds`, and measures these.
Timing repeat(const std::function<void()>& step, double seconds);

/// Prints the line of results: one JSON object, ending with `figures`.
void report(const Settings& settings, int threads, const Timing& timing,
            const std::vector<std::pair<std::string, double>>& figures);
inline void report(const Settings& settings, const Timing& timing,
                   const std::vector<std::pair<std::string, double>>& figures) {
  report(settings, settings.threads(), timing, figures);
}

/// 10^9 of these a second, in the median.
inline double giga(double amount, const Timing& timing) { return amount / timing.median / 1e9; }

/// Computes the output and the gradients of `inputs` when `seed` flows into the output: all are
/// asked for, so that the planner leaves no part out.
std::vector<rapt::Tensor> forward_backward(const rapt::Var& output, const rapt::Tensor& seed,
                                           std::initializer_list<rapt::Var> inputs);

/// Independent draws from low .. high - 1, int32.
rapt::Tensor random_ids(rapt::Key key, const rapt::Shape& shape, int64_t low, int64_t high);

/// Throws where floats are not all finite, or all zero: then no work was done.
void check_computed(const rapt::Tensor& result, const char* what);
void check_all(const std::vector<rapt::Tensor>& results, const Settings& settings);

}  // namespace bench
