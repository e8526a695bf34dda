#include "framework/run/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mutex>
#include <new>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "framework/core/error.hpp"
#include "framework/files/files.hpp"
#include "framework/graph/scope.hpp"

namespace rapt::internal {

struct Trace::State {
  struct Text {
    std::string name, shapes;
  };
  struct Event {
    uint32_t text;
    const std::string* place;  // in `places`
    int64_t begin, end;
    double flops, bytes;
    int row;
  };

  std::ofstream file;
  int64_t start = now();
  mutable std::mutex mutex;
  std::vector<Text> texts;
  std::unordered_map<uint64_t, std::vector<uint32_t>> text_of;  // by plan and step: 1 + its text
  std::unordered_set<std::string> places;                       // layer paths and lines
  std::vector<Event> events;
  int rows = 0;
};

namespace {

constexpr std::string_view beginning = "{\"traceEvents\":[\n";

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= ' ') result += c;
  }
  return result;
}

std::string shapes_of(const Plan& plan, const Plan::Step& step) {
  std::string shapes;
  auto out = std::back_inserter(shapes);
  for (const ViewId view : step.input_views()) {
    fmt::format_to(out, "{} ", to_string(plan.views[view].shape));
  }
  fmt::format_to(out, "->");
  for (const ViewId view : step.output_views()) {
    fmt::format_to(out, " {}", to_string(plan.views[view].shape));
  }
  return shapes;
}

}  // namespace

Trace* Trace::current() {
  static const std::unique_ptr<Trace> trace = [] {
    const char* path = std::getenv("RAPT_TRACE");
    return path == nullptr || *path == '\0' ? nullptr : std::make_unique<Trace>(path);
  }();
  return trace.get();
}

Trace::Trace(const std::string& path) : state_(std::make_unique<State>()) {
  errno = 0;
  state_->file.open(path, std::ios::binary);
  // Writes at once what every trace begins with: a full disk too is to be an error now.
  state_->file << beginning << std::flush;
  if (state_->file) return;
  throw FileError(fmt::format("{}: cannot write the trace that RAPT_TRACE asks for: {}", path,
                              errno == 0 ? std::string("it cannot be opened") : error_text(errno)));
}

Trace::~Trace() {
  try {
    state_->file << std::string_view(json()).substr(beginning.size());
  } catch (const std::bad_alloc&) {
  }
}

int64_t Trace::now() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

void Trace::step(const Plan& plan, const Plan::Step& step, const Graph& graph, const Node& node,
                 int64_t begin, int64_t end) try {
  std::string place = graph.written_at(node);
  const std::lock_guard lock(state_->mutex);
  std::vector<uint32_t>& of_plan = state_->text_of[plan.serial];
  of_plan.resize(plan.steps.size(), 0);
  uint32_t& text = of_plan[static_cast<size_t>(&step - plan.steps.data())];
  if (text == 0) {
    state_->texts.push_back({step.label(), shapes_of(plan, step)});
    text = static_cast<uint32_t>(state_->texts.size());
  }
  thread_local int row = -1;
  if (row < 0) row = state_->rows++;
  state_->events.push_back({text - 1, &*state_->places.insert(std::move(place)).first, begin, end,
                            step.flops, step.bytes, row});
} catch (const std::bad_alloc&) {
  // The step has run and may have been an update, so this must not be reported as its failure.
}

std::string Trace::json() const {
  const std::lock_guard lock(state_->mutex);
  std::string text(beginning);
  auto out = std::back_inserter(text);
  for (int row = 0; row < state_->rows; ++row) {
    fmt::format_to(out,
                   "{{\"ph\":\"M\",\"pid\":1,\"tid\":{0},\"name\":\"thread_name\","
                   "\"args\":{{\"name\":\"worker {0}\"}}}},\n",
                   row);
  }
  for (const State::Event& e : state_->events) {
    const auto nanoseconds = static_cast<double>(std::max<int64_t>(e.end - e.begin, 1));
    const State::Text& step = state_->texts[e.text];
    fmt::format_to(out,
                   "{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},"
                   "\"name\":\"{}\",\"args\":{{\"shapes\":\"{}\",\"at\":\"{}\","
                   "\"gflop_per_s\":{:.2f},\"gb_per_s\":{:.2f}}}}},\n",
                   e.row, static_cast<double>(e.begin - state_->start) / 1e3, nanoseconds / 1e3,
                   escaped(step.name), escaped(step.shapes), escaped(*e.place),
                   e.flops / nanoseconds, e.bytes / nanoseconds);
  }
  if (text.ends_with(",\n")) text.resize(text.size() - 2);
  return text + "\n]}\n";
}

}  // namespace rapt::internal
