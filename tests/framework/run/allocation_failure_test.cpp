// Memory that cannot be had, at every place where a step asks for some. This program's operator new
// fails at an allocation of the test's choice. The step has to say so by an Error, leave parameters
// and optimizer as they were, and succeed when it is asked again. What TBB takes for itself never
// fails here: it would then wait for a task that was never begun.
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>
#include <rapt/rapt.hpp>
#include <thread>

#include "framework/run/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/own_allocator.hpp"

namespace {

/// Which allocations fail, counted from 0, in all threads. Written while no other thread is at
/// work.
struct Failures {
  std::atomic<bool> armed{false};
  std::atomic<int64_t> asked{0};
  int64_t at = 0;
  bool and_later = false;  // memory is short until disarm(), and not only once

  void arm(int64_t first, bool later) {
    at = first;
    and_later = later;
    asked = 0;
    armed = true;
  }
  /// Returns how many allocations there were.
  int64_t disarm() {
    armed = false;
    return asked;
  }
  bool next() {
    if (!armed.load()) return false;
    const int64_t i = asked++;
    return i == at || (and_later && i > at);
  }
};
Failures failures;

void* taken(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) noexcept {
  return failures.next() ? nullptr : rapt::test::allocated(bytes, alignment);
}
void* taken_or_thrown(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
  void* const memory = taken(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return taken_or_thrown(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return taken_or_thrown(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) {
  // The library's would ask ours, in TBB's name too.
  Dl_info caller{};
  const bool known = failures.armed && dladdr(__builtin_return_address(0), &caller) != 0;
  if (known && std::strstr(caller.dli_fname, "libtbb") != nullptr) return std::malloc(bytes);
  return taken_or_thrown(bytes);
}
// std::stable_sort asks this one. The library's would ask ours, but a sanitizer's is of another
// kind.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return taken(bytes); }

namespace rapt {
namespace {

Tensor tokens(int64_t rows, int64_t length, uint64_t seed) {
  return test::tokens(rows, length, seed, 11);
}

/// Something that a user does in several calls, each of which may run out of memory.
class Work {
 public:
  virtual ~Work() = default;
  /// Does call number i, on this tape, and notes its results.
  virtual void call(int i, const Tape& tape) = 0;
  /// What calls may write to: parameters, and what their optimizer keeps.
  virtual NamedTensors state() const { return {}; }

  static constexpr int calls = 4;
  /// Recording is left to the user's code, whose own lists may throw std::bad_alloc.
  std::atomic<bool> recording = false;
  std::array<Tensor, calls> results;
  std::array<double, calls> numbers{};
};

using Bits = std::vector<std::byte>;

void append(Bits& bits, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  bits.insert(bits.end(), bytes, bytes + size);
}

void append(Bits& bits, const Tensor& tensor) {
  const Tensor whole = tensor.clone();
  append(bits, whole.bytes(), static_cast<size_t>(whole.size() * size_of(whole.dtype())));
}

Bits state_bits(const Work& work) {
  Bits bits;
  for (const auto& [name, tensor] : work.state()) append(bits, tensor);
  return bits;
}

Bits all_bits(const Work& work) {
  Bits bits = state_bits(work);
  for (const Tensor& result : work.results) {
    if (result) append(bits, result);
  }
  append(bits, work.numbers.data(), sizeof work.numbers);
  return bits;
}

// ---- kinds of work ------------------------------------------------------------------------------

enum class Way { steps, accumulated, forward };

struct RecurrentModel {
  GruSeq2Seq model{{.source_vocab = 12, .target_vocab = 12, .embed = 3, .hidden = 4}, Key{1}};
  Var loss(const Tensor& source, const Tensor& in, const Tensor& out) {
    return cross_entropy(model(source, in), out);
  }
  void visit(auto&& f) { f("model", model); }
};

struct TransformerModel {
  Transformer model{{.source_vocab = 12,
                     .target_vocab = 12,
                     .width = 8,
                     .heads = 2,
                     .encoder_layers = 1,
                     .decoder_layers = 1,
                     .feed_forward = 8,
                     .dropout = 0,
                     .max_length = 8},
                    Key{2}};
  Var loss(const Tensor& source, const Tensor& in, const Tensor& out) {
    return cross_entropy(model(source, in), out, {.label_smoothing = 0.1});
  }
  void visit(auto&& f) { f("model", model); }
};

struct GptModel {
  Gpt model{{.vocab = 12, .width = 8, .heads = 2, .layers = 1, .max_length = 8}, Key{3}};
  Var loss(const Tensor&, const Tensor& in, const Tensor& out) {
    return cross_entropy(model(in), out);
  }
  void visit(auto&& f) { f("model", model); }
};

/// Training steps, each on a batch of its own.
template <class Model, class Optimizer, Way way>
class Learning : public Work {
 public:
  explicit Learning(const auto& options) : optimizer_(parameters(model_), options) {
    for (uint64_t i = 0; i < calls; ++i) {
      source_[i] = tokens(2, 4, 10 * i + 1);
      in_[i] = tokens(2, 3, 10 * i + 2);
      out_[i] = tokens(2, 3, 10 * i + 3);
    }
  }

  void call(int i, const Tape&) override {
    const auto n = static_cast<size_t>(i);
    recording = true;
    const Var loss = model_.loss(source_[n], in_[n], out_[n]);
    recording = false;
    if (way == Way::forward) {
      results[n] = loss.value();
    } else if (way == Way::accumulated && i % 3 < 2) {
      optimizer_.accumulate(loss * 0.5, {loss});  // item() then has nothing to run
    } else {
      optimizer_.step(loss, {}, SourceLocation::current());
    }
    numbers[n] = loss.item();
  }

  NamedTensors state() const override {
    NamedTensors all = optimizer_.state();
    for (const Parameter& parameter : parameters_) all.emplace_back("", parameter.value());
    all.emplace_back("", full({}, static_cast<double>(optimizer_.steps()), DType::float64));
    all.emplace_back("", full({}, optimizer_.last_norm(), DType::float64));
    return all;
  }

 private:
  Model model_;
  std::vector<Parameter> parameters_ = parameters(model_);
  Optimizer optimizer_;
  std::array<Tensor, calls> source_, in_, out_;
};

/// One tape of its own whose values are asked for one after the other: later plans begin at what
/// earlier ones have kept. Then a gradient of it all.
class Values : public Work {
 public:
  void call(int i, const Tape&) override {
    const auto n = static_cast<size_t>(i);
    recording = true;
    const Var x = i == 0 ? first_ : last_[n - 1];
    const Var turned = transpose(x);
    last_[n] = softmax(matmul(x, matmul(turned, tanh(x) + second_)) * 0.1 + x);
    const Var wanted = i < 3 ? last_[n] : grad(sum(last_[n]), std::vector<Var>{last_[0]})[0];
    recording = false;
    results[n] = (i % 2 == 0 ? wanted : transpose(wanted)).value();
    numbers[n] = sum(wanted * wanted).item();
  }

 private:
  const Tensor second_ = uniform(Key{2}, {5, 4});
  const Tape tape_;
  const Var first_ = as_var(uniform(Key{1}, {5, 4}));
  std::array<Var, calls> last_;
};

// ---- the failures -------------------------------------------------------------------------------

struct Case {
  std::string name;
  std::function<std::unique_ptr<Work>()> work;
  ExecutorOptions executor;
  int call;          // the one that runs out of memory
  bool own_threads;  // calls come from threads of their own, which hold no memory from others
};

/// Calls number i. A new thread has no memory left over from earlier ones.
void call_in_thread(const Case& c, Executor& executor, const std::function<void()>& body) {
  const auto run = [&] {
    const Executor::Use use(executor);
    body();
  };
  if (!c.own_threads) return run();
  std::thread(run).join();
}

/// Graphs are used again, and their lists are long already. This makes the graph that the thread
/// would take next one without memory.
void forget_graph(std::vector<std::unique_ptr<Tape>>& held) {
  held.push_back(std::make_unique<Tape>());
  Graph& graph = held.back()->graph();
  const auto forget = [](auto&... lists) { (std::decay_t<decltype(lists)>().swap(lists), ...); };
  forget(graph.nodes, graph.values, graph.layouts, graph.inputs, graph.words, graph.leaves,
         graph.scopes, graph.structure, graph.results);
}

void call_on_new_tape(Work& work, int i) {
  const Tape tape;
  work.call(i, tape);
}

/// What all calls give, with nothing in their way.
Bits undisturbed(const Case& c) {
  Executor executor(c.executor);
  Bits bits;
  const auto work = c.work();
  for (int i = 0; i < Work::calls; ++i) {
    call_in_thread(c, executor, [&] { call_on_new_tape(*work, i); });
  }
  return all_bits(*work);
}

struct Outcome {
  bool failed = false;
  int64_t asked = 0;
  std::string fault;  // empty: all as it should be
};

/// All calls, of which one runs out of memory at allocation `at`.
Outcome disturbed(const Case& c, int64_t at, bool and_later, const Bits& expected) {
  Outcome outcome;
  Executor executor(c.executor);
  const auto work = c.work();
  std::vector<std::unique_ptr<Tape>> held;
  const auto fault = [&](const std::string& text) {
    if (outcome.fault.empty()) outcome.fault = text;
  };
  const auto disturb = [&] {
    const Bits before = state_bits(*work);
    // The call is made again: on the same tape, or on another.
    const bool same_tape = (at % 2 == 0) != and_later;
    std::string message;
    const auto attempt = [&](const auto& body) {
      try {
        failures.arm(at, and_later);
        body();
        outcome.asked = failures.disarm();
      } catch (const OutOfMemory& error) {
        outcome.asked = failures.disarm();
        outcome.failed = true;
        message = error.what();
      } catch (const std::bad_alloc&) {
        outcome.asked = failures.disarm();
        outcome.failed = true;
        if (!work->recording) fault("std::bad_alloc");
      } catch (const std::exception& error) {
        outcome.asked = failures.disarm();
        outcome.failed = true;
        fault(std::string("another error: ") + error.what());
      }
      if (!outcome.failed) return;
      if (state_bits(*work) != before) fault("parameters or optimizer have changed: " + message);
      if (message.find("out of memory") == message.npos && !work->recording) {
        fault("the message is: " + message);
      }
      // Where there is no memory for a message, there is none.
      if (!and_later && !work->recording &&
          (message.find("; at ") == message.npos ||
           message.find_first_of("0123456789") == message.npos)) {
        fault("no place: " + message);
      }
    };
    if (same_tape) {
      const Tape tape;
      attempt([&] { work->call(c.call, tape); });
      if (outcome.failed) work->call(c.call, tape);
    } else {
      attempt([&] { call_on_new_tape(*work, c.call); });
      if (outcome.failed) call_on_new_tape(*work, c.call);
    }
  };
  for (int i = 0; i < Work::calls; ++i) {
    call_in_thread(c, executor, [&] {
      if (c.own_threads && i == c.call) forget_graph(held);
      try {
        if (i == c.call) {
          disturb();
        } else {
          call_on_new_tape(*work, i);
        }
      } catch (const std::exception& error) {
        fault(std::string("not to be had again: ") + error.what());
      }
      if (c.own_threads && i == c.call) held.clear();
    });
  }
  if (all_bits(*work) != expected) fault("other results than undisturbed");
  return outcome;
}

/// How many failures are tried of each case and kind; a larger number of allocations is sampled.
constexpr int64_t most_points = 40;

void check_failures(const Case& c) {
  const Bits expected = undisturbed(c);
  const int64_t allocations = disturbed(c, int64_t{1} << 60, false, expected).asked;
  int64_t tried = 0, failed = 0, faults = 0;
  std::string first;
  for (const bool and_later : {false, true}) {
    const int64_t points = std::min(allocations, most_points);
    for (int64_t p = 0; p < points; ++p) {
      const int64_t at = p * allocations / points;
      const Outcome outcome = disturbed(c, at, and_later, expected);
      ++tried;
      failed += outcome.failed ? 1 : 0;
      if (outcome.fault.empty()) continue;
      ++faults;
      if (first.empty()) {
        first = "allocation " + std::to_string(at) + (and_later ? " and later: " : ": ") +
                outcome.fault;
      }
    }
  }
  INFO(c.name << ", call " << c.call << ": " << allocations << " allocations, " << tried
              << " failures tried, of which " << failed << " were seen; " << faults << " faults");
  INFO(first);
  CHECK(faults == 0);
}

template <class Model, class Optimizer, Way way>
std::function<std::unique_ptr<Work>()> learning(const auto& options) {
  return [options] { return std::make_unique<Learning<Model, Optimizer, way>>(options); };
}

/// First calls, which plan, and later ones, whose plan is known.
void check_everywhere(const std::string& name, const std::function<std::unique_ptr<Work>()>& work,
                      bool own_threads, std::initializer_list<int> calls) {
  for (const int call : calls) {
    check_failures({name, work, {.threads = 1}, call, own_threads});
    check_failures(
        {name + ", 2 threads", work, {.threads = 2, .parallel_from = 0}, call, own_threads});
    check_failures({name + ", guarded", work, {.threads = 1, .guard = true}, call, own_threads});
    check_failures({name + ", reference", work, {.reference = true}, call, own_threads});
  }
}

const SgdOptions sgd{.lr = 0.1, .momentum = 0.9, .clip_norm = 0.5};
const AdamOptions adam{.lr = 1e-2, .clip_norm = 0.5};

TEST_CASE("the allocation that is chosen fails") {
  failures.arm(1, false);
  const auto made = std::make_unique<int>(3);
  bool thrown = false;
  try {
    (void)std::make_unique<int>(4);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  const auto last = std::make_unique<int>(5);
  CHECK(failures.disarm() == 3);
  CHECK(thrown);
}

TEST_CASE("training steps that run out of memory were not taken") {
  check_everywhere("GRU, Adam", learning<RecurrentModel, Adam, Way::steps>(adam), true, {0, 1});
  check_everywhere("Transformer, SGD", learning<TransformerModel, Sgd, Way::steps>(sgd), true,
                   {0, 1});
  check_everywhere("GPT, Adam", learning<GptModel, Adam, Way::steps>(adam), true, {0, 1});
}

TEST_CASE("gradients are gathered once, also where memory was short") {
  check_everywhere("GPT, accumulate()", learning<GptModel, Sgd, Way::accumulated>(sgd), true,
                   {0, 1, 2});
}

TEST_CASE("values of a model that ran out of memory can be asked for again") {
  check_everywhere("GRU, forward", learning<RecurrentModel, Sgd, Way::forward>(sgd), true, {0, 1});
}

/// Whether body() lacks memory where allocation `at` fails.
bool runs_out(int64_t at, const std::function<void()>& body) {
  bool out = false;
  failures.arm(at, false);
  try {
    body();
  } catch (const std::bad_alloc&) {
    out = true;
  } catch (const OutOfMemory&) {
    out = true;
  }
  failures.disarm();
  return out;
}

TEST_CASE("a step that a trace has no memory for has not failed") {
  Executor executor({.threads = 1});
  const Tape tape;
  const Var loss = sum(exp(as_var(uniform(Key{1}, {5, 4}))));
  const std::shared_ptr<const Plan> plan = executor.plan(std::vector<Var>{loss});
  REQUIRE(!plan->steps.empty());
  const Graph& graph = tape.graph();
  const Node& node = graph.nodes.back();
  for (int64_t at = 0; at < 40; ++at) {
    Trace trace("/dev/null");
    const auto note = [&] { trace.step(*plan, plan->steps.front(), graph, node, 1, 2); };
    CHECK_FALSE(runs_out(at, note));
    note();
    const auto events = nlohmann::json::parse(trace.json())["traceEvents"];
    CHECK(events.back()["name"] == plan->steps.front().label());
  }
}

/// That every node has all of its values, operands and attributes, and that there are no others.
void check_whole(const Graph& graph) {
  size_t values = 0, inputs = 0, words = 0, leaves = 0, layouts = 0;
  for (const Node& node : graph.nodes) {
    CHECK(index(node.first_value) == values);
    values += node.outputs;
    if (node.op == nullptr) {
      CHECK(index(node.leaf()) == leaves++);
      continue;
    }
    CHECK(node.first_input == inputs);
    CHECK(node.first_word == words);
    inputs += node.inputs;
    words += node.words;
  }
  for (const Value& value : graph.values) layouts = std::max<size_t>(layouts, value.layout);
  CHECK(graph.values.size() == values);
  CHECK(graph.inputs.size() == inputs);
  CHECK(graph.words.size() == words);
  CHECK(graph.leaves.size() == leaves);
  CHECK(graph.layouts.size() == layouts);
}

TEST_CASE("an operator is recorded whole or not at all") {
  bool failed = true;
  int64_t at = 0;
  for (; failed; ++at) {
    std::vector<std::unique_ptr<Tape>> held;
    forget_graph(held);
    const Graph& graph = held.back()->graph();
    const Tensor small = uniform(Key{1}, {3, 4}), other = uniform(Key{2}, {4, 3});
    const Parameter weight(uniform(Key{3}, {3, 3}));
    failed = runs_out(at, [&] {
      const Var turned = transpose(as_var(small));
      (void)matmul(as_var(weight), transpose(turned));
      (void)concat({turned, as_var(other), turned}, 1);
    });
    check_whole(graph);
    if (failed) continue;
    // The words of two recordings agree.
    const std::vector<uint64_t> structure = graph.structure;
    const Tape tape;
    const Var turned = transpose(as_var(small));
    (void)matmul(as_var(weight), transpose(turned));
    (void)concat({turned, as_var(other), turned}, 1);
    CHECK(tape.graph().structure == structure);
  }
  CHECK(at > 20);
}

TEST_CASE("values amid a tape can be asked for again") {
  check_everywhere("values", [] { return std::make_unique<Values>(); }, false, {0, 1, 2, 3});
}

}  // namespace
}  // namespace rapt
