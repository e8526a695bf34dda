// Measures rapt on the workloads of the performance comparison.
//
//   rapt_bench WORKLOAD [THREADS] [SECONDS] [KEY=VALUE ...]
//
// Prints one JSON object per measurement, on its own line. Every workload draws random data from a
// fixed key and warms up. It then repeats whole runs until SECONDS have passed. Exit status 2: the
// command line is wrong; 1: the workload failed.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>

#include "bench/bench.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"

namespace bench {
namespace {

std::optional<double> parse(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

/// Returns the value of one setting. Throws UsageError if the setting cannot have it.
double value_of(const Setting& setting, const std::string& text) {
  if (!setting.names.empty()) {
    const auto name = std::find(setting.names.begin(), setting.names.end(), text);
    if (name != setting.names.end()) return static_cast<double>(name - setting.names.begin());
    throw UsageError(fmt::format("{}={}: expected one of {}", setting.key, text,
                                 fmt::join(setting.names, ", ")));
  }
  const std::optional<double> value = parse(text);
  if (!value || *value < setting.least || *value > setting.most ||
      (setting.whole && *value != std::floor(*value))) {
    throw UsageError(fmt::format("{}={}: expected a {} from {} to {}", setting.key, text,
                                 setting.whole ? "whole number" : "number", setting.least,
                                 setting.most));
  }
  return *value;
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::vector<Workload> workloads() {
  std::vector<Workload> all = kernel_workloads();
  for (Workload& workload : graph_workloads()) all.push_back(std::move(workload));
  for (Workload& workload : plane_workloads()) all.push_back(std::move(workload));
  for (Workload& workload : model_workloads()) all.push_back(std::move(workload));
  for (Workload& workload : decoding_workloads()) all.push_back(std::move(workload));
  return all;
}

std::string list(const std::vector<Setting>& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    if (setting.names.empty()) {
      text += fmt::format(" {}={}", setting.key, setting.value);
    } else {
      text += fmt::format(" {}={}", setting.key, fmt::join(setting.names, "|"));
    }
  }
  return text;
}

std::string usage() {
  std::string text =
      "usage: rapt_bench WORKLOAD [THREADS=2] [SECONDS=3] [KEY=VALUE ...]\n"
      "workloads, with their keys and defaults:\n";
  for (const Workload& workload : workloads()) {
    text += fmt::format("  {}{}\n", workload.name, list(workload.settings));
  }
  return text;
}

void run(const std::vector<std::string>& words) {
  if (words.empty()) throw UsageError("no workload given\n" + usage());
  for (const Workload& workload : workloads()) {
    if (workload.name != words[0]) continue;
    const Setting threads{"THREADS", 2, 1, 1024}, seconds{"SECONDS", 3, 0, 86400, false};
    const Settings settings(
        words[0], workload.settings,
        static_cast<int>(words.size() > 1 ? value_of(threads, words[1]) : threads.value),
        words.size() > 2 ? value_of(seconds, words[2]) : seconds.value,
        {words.begin() + std::min<ptrdiff_t>(3, std::ssize(words)), words.end()});
    rapt::Executor executor({.threads = settings.threads()});
    const rapt::Executor::Use use(executor);
    return workload.run(settings);
  }
  throw UsageError(fmt::format("no workload named {}\n{}", words[0], usage()));
}

}  // namespace

Settings::Settings(std::string workload, std::vector<Setting> known, int threads, double seconds,
                   const std::vector<std::string>& words)
    : workload_(std::move(workload)),
      settings_(std::move(known)),
      threads_(threads),
      seconds_(seconds) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      throw UsageError(fmt::format("{}: expected KEY=VALUE", word));
    }
    const std::string key = word.substr(0, equals);
    const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                      [&](const Setting& s) { return key == s.key; });
    if (setting == settings_.end()) {
      throw UsageError(
          fmt::format("{} has no key {}; its keys:{}", workload_, key, list(settings_)));
    }
    setting->value = value_of(*setting, word.substr(equals + 1));
  }
}

double Settings::number(const char* key) const {
  for (const Setting& setting : settings_) {
    if (std::strcmp(setting.key, key) == 0) return setting.value;
  }
  throw std::logic_error(
      fmt::format("the workload {} reads a key {} that it does not list", workload_, key));
}

Timing repeat(const std::function<void()>& step, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  };
  for (int i = 0; i < 3; ++i) step();
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 5 || since(begin) < seconds) {
    const auto start = Clock::now();
    step();
    times.push_back(since(start));
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[0], static_cast<int>(times.size()), peak_rss_mb()};
}

void report(const Settings& settings, int threads, const Timing& timing,
            const std::vector<std::pair<std::string, double>>& figures) {
  std::string line = fmt::format(
      R"({{"peer":"rapt-{}","workload":"{}","threads":{},"median_s":{:.6g},"min_s":{:.6g},"runs":{})",
      RAPT_BENCH_VERSION, settings.workload(), threads, timing.median, timing.least, timing.runs);
  for (const auto& [name, value] : figures) line += fmt::format(R"(,"{}":{:.6g})", name, value);
  line += fmt::format(R"(,"peak_rss_mb":{:.1f}}})", timing.peak_rss_mb);
  std::puts(line.c_str());
  std::fflush(stdout);
}

void check_computed(const rapt::Tensor& result, const char* what) {
  double largest = 0;
  for (const float x : result.data<float>()) {
    if (!std::isfinite(x)) throw std::runtime_error(fmt::format("{} is not finite", what));
    largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  if (largest == 0) throw std::runtime_error(fmt::format("{} is all zeros", what));
}

void check_all(const std::vector<rapt::Tensor>& results, const Settings& settings) {
  for (const rapt::Tensor& result : results) check_computed(result, settings.workload().c_str());
}

std::vector<rapt::Tensor> forward_backward(const rapt::Var& output, const rapt::Tensor& seed,
                                           std::initializer_list<rapt::Var> inputs) {
  const rapt::Var seed_var = rapt::as_var(seed);
  std::vector<rapt::Var> wanted = rapt::vjp(std::span(&output, 1), std::span(&seed_var, 1), inputs);
  wanted.push_back(output);
  rapt::Executor::current().run(wanted);
  std::vector<rapt::Tensor> values;
  for (const rapt::Var& var : wanted) values.push_back(var.value());
  return values;
}

}  // namespace bench

int main(int argc, char** argv) {
  try {
    bench::run({argv + 1, argv + argc});
    return 0;
  } catch (const bench::UsageError& error) {
    fmt::print(stderr, "rapt_bench: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rapt_bench: {}\n", error.what());
    return 1;
  }
}
