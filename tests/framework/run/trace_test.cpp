// RAPT_TRACE: what ran when, as Chrome trace JSON.
#include "framework/run/trace.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

/// The program's trace. Whether there is one is asked once, at the first run: to be called before.
const Trace& trace() {
  REQUIRE(setenv("RAPT_TRACE", "/dev/null", 1) == 0);
  REQUIRE(Trace::current() != nullptr);
  return *Trace::current();
}

TEST_CASE("every step is there, with its worker, shapes and rates") {
  const Trace& all = trace();
  Executor executor({.threads = 2});
  const Executor::Use use(executor);
  {
    Tape tape;
    const Var x = as_var(uniform(Key{1}, {300, 200}));
    (void)sum(tanh(matmul(x, transpose(x)) * 0.1) + 1).value();
  }
  const auto events = nlohmann::json::parse(all.json())["traceEvents"];
  int steps = 0;
  bool product = false;
  for (const auto& event : events) {
    if (event["ph"] != "X") continue;
    ++steps;
    CHECK(event["dur"].get<double>() > 0);
    CHECK(event["args"]["at"].get<std::string>().find("trace_test.cpp:") != std::string::npos);
    if (event["name"] != "matmul") continue;
    product = true;
    CHECK(event["args"]["shapes"] == "[300, 200] [200, 300] -> [300, 300]");
    CHECK(event["args"]["gflop_per_s"].get<double>() > 0);
    CHECK(event["args"]["gb_per_s"].get<double>() > 0);
  }
  CHECK(product);
  CHECK(steps == executor.counters().steps);
}

TEST_CASE("a trace that cannot be written is an error at once") {
  const auto trace_to = [](const char* path) { Trace trace(path); };
  CHECK_THROWS_WITH(trace_to("/nonexistent/trace.json"),
                    "/nonexistent/trace.json: cannot write the trace that RAPT_TRACE asks for: No"
                    " such file or directory");
  CHECK_THROWS_WITH(trace_to("/dev/full"), Contains("No space left on device"));
}

struct TwoLayers {
  Linear first{20, 8, Key{2}}, second{20, 8, Key{3}};
  void visit(auto&& f) {
    f("first", first);
    f("second", second);
  }
};

TEST_CASE("recordings that share a plan have places of their own") {
  const Trace& all = trace();
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  TwoLayers model;
  (void)parameters(model);  // names them
  const Tensor x = uniform(Key{1}, {30, 20});
  const auto run = [&](const Linear& layer) {
    const Tape tape;
    (void)layer(x).value();
  };
  run(model.first);
  run(model.second);
  REQUIRE(executor.counters().plans_made == 1);
  const auto events = nlohmann::json::parse(all.json())["traceEvents"];
  std::vector<std::string> places;
  for (const auto& event : events) {
    if (event["ph"] == "X" && event["name"] == "linear") places.push_back(event["args"]["at"]);
  }
  REQUIRE(places.size() == 2);
  CHECK(places[0].starts_with("first, "));
  CHECK(places[1].starts_with("second, "));
}

}  // namespace
}  // namespace rapt
