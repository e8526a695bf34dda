#include "tests/random_programs/shrink.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/random_programs/run.hpp"

namespace rapt::programs {
namespace {

/// Removes statements whose results nobody reads.
void drop_unused(Program& program) {
  std::set<int> used;
  auto& list = program.statements;
  for (size_t i = list.size(); i-- > 0;) {
    const bool needed = is_role(list[i]) ? !list[i].in.empty()
                                         : std::any_of(list[i].out.begin(), list[i].out.end(),
                                                       [&](int v) { return used.contains(v); });
    if (!needed) {
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    used.insert(list[i].in.begin(), list[i].in.end());
  }
}

/// Returns true if each value requested after an update was also requested before it.
bool sound(const Program& program) {
  std::set<int> known;
  std::map<int, std::string> makers;
  bool stepped = false;
  for (const Statement& s : program.statements) {
    for (const int value : s.out) makers[value] = s.kind->name;
    if (!is_role(s)) continue;
    if (s.kind->name == "look" && stepped) {
      for (const int value : s.in) {
        if (!known.contains(value)) return false;
      }
    }
    if (s.kind->name == "step") {
      if (s.in.size() < static_cast<size_t>(s.p[0])) return false;
      const bool fails = s.p[1] >= 0;
      if (fails != (makers.contains(s.in.back()) && makers.at(s.in.back()) == "trap")) return false;
      stepped = true;
    }
    known.insert(s.in.begin(), s.in.end());
  }
  return true;
}

void replace_uses(Program& program, int value, int by) {
  for (Statement& s : program.statements) std::replace(s.in.begin(), s.in.end(), value, by);
}

/// Removes the i-th statement. Its values are replaced by an operand of the same kind, or by
/// leaves.
bool without(Program& program, size_t i, bool leaves) {
  const Statement gone = program.statements[i];
  const auto at = program.statements.begin() + static_cast<std::ptrdiff_t>(i);
  if (is_role(gone)) {
    program.statements.erase(at);
    return true;
  }
  const bool is_leaf = gone.kind->name == "input" || gone.kind->name == "parameter";
  if (is_leaf) return false;
  std::vector<Statement> put;
  for (const int value : gone.out) {
    const ValueInfo& info = program.values[static_cast<size_t>(value)];
    if (!leaves) {
      int by = -1;
      for (const int operand : gone.in) {
        const ValueInfo& other = program.values[static_cast<size_t>(operand)];
        if (other.shape == info.shape && other.dtype == info.dtype && by < 0) by = operand;
      }
      if (by < 0) return false;
      replace_uses(program, value, by);
      continue;
    }
    const int64_t low = info.dtype == DType::float32 || info.dtype == DType::float64 ? -1000 : 0;
    std::vector<int64_t> p{static_cast<int64_t>(info.dtype), low,
                           info.dtype == DType::boolean ? 2000 : 1000, 0, value};
    p.insert(p.end(), info.shape.begin(), info.shape.end());
    put.push_back({&kind("input"), {}, p, {value}});
  }
  const auto hole = program.statements.erase(at);
  program.statements.insert(hole, put.begin(), put.end());
  return true;
}

class Shrinker {
 public:
  Shrinker(Program program, Verdict verdict)
      : best_(std::move(program)), verdict_(std::move(verdict)) {}

  Program run(const std::function<void(const std::string&)>& progress) {
    drop_unused(best_);
    bool smaller = true;
    while (smaller && tries_ < most_tries) {
      smaller = false;
      smaller |= fewer_statements();
      smaller |= fewer_looks();
      smaller |= fewer_steps();
      smaller |= fewer_derivatives();
      progress(fmt::format("{} statements after {} tries", best_.statements.size(), tries_));
    }
    return best_;
  }

 private:
  static constexpr int most_tries = 2500;

  bool still_fails(Program candidate) {
    drop_unused(candidate);
    if (candidate.statements.empty() || !sound(candidate)) return false;
    ++tries_;
    // Checks twice, because a fault on several threads does not occur each time.
    for (int again = 0; again < (verdict_.sort == "wrong" ? 2 : 1); ++again) {
      const Verdict now = check_apart(candidate);
      if (now.fails() && now.sort == verdict_.sort) {
        best_ = std::move(candidate);
        return true;
      }
    }
    return false;
  }

  bool fewer_statements() {
    bool any = false;
    for (size_t i = best_.statements.size(); i-- > 0 && tries_ < most_tries;) {
      if (i >= best_.statements.size()) continue;
      for (const bool leaves : {true, false}) {
        Program candidate = best_;
        if (!without(candidate, i, leaves)) continue;
        if (still_fails(std::move(candidate))) {
          any = true;
          break;
        }
      }
    }
    return any;
  }

  /// Requests fewer values, and derivatives by fewer values.
  bool fewer_looks() {
    bool any = false;
    for (size_t i = 0; i < best_.statements.size(); ++i) {
      const auto& s = best_.statements[i];
      const size_t keep = s.kind->name == "step"         ? static_cast<size_t>(s.p[0])
                          : s.kind->name == "accumulate" ? 1
                                                         : 0;
      if (!is_role(s)) continue;
      for (size_t k = s.in.size(); k-- > keep;) {
        if (i >= best_.statements.size() || k >= best_.statements[i].in.size()) break;
        Program candidate = best_;
        auto& in = candidate.statements[i].in;
        in.erase(in.begin() + static_cast<std::ptrdiff_t>(k));
        any |= still_fails(std::move(candidate));
      }
    }
    return any;
  }

  bool fewer_derivatives() {
    bool any = false;
    for (size_t i = 0; i < best_.statements.size(); ++i) {
      const std::string& name = best_.statements[i].kind->name;
      if (name != "grad" && name != "vjp") continue;
      for (size_t k = best_.statements[i].out.size(); k-- > 0;) {
        if (i >= best_.statements.size() || best_.statements[i].out.size() < 2) break;
        Program candidate = best_;
        Statement& s = candidate.statements[i];
        const size_t first = s.in.size() - s.out.size();
        const int value = s.out[k];
        const bool used = std::any_of(
            candidate.statements.begin(), candidate.statements.end(), [&](const Statement& other) {
              return std::find(other.in.begin(), other.in.end(), value) != other.in.end();
            });
        if (used) continue;
        s.in.erase(s.in.begin() + static_cast<std::ptrdiff_t>(first + k));
        s.out.erase(s.out.begin() + static_cast<std::ptrdiff_t>(k));
        any |= still_fails(std::move(candidate));
      }
    }
    return any;
  }

  bool fewer_steps() {
    bool any = false;
    while (best_.steps > 1) {
      Program candidate = best_;
      --candidate.steps;
      if (!still_fails(std::move(candidate))) break;
      any = true;
    }
    for (size_t i = 0; i < best_.statements.size(); ++i) {
      if (best_.statements[i].kind->name != "step" || best_.statements[i].p[1] < 0) continue;
      Program candidate = best_;
      candidate.statements[i].p[1] = -1;
      candidate.statements[i].in.pop_back();
      any |= still_fails(std::move(candidate));
    }
    for (size_t i = 0; i < best_.optimizer.size(); ++i) {
      if (best_.optimizer[i] == 1) continue;
      Program candidate = best_;
      candidate.optimizer[i] = 1;  // the plain variant
      any |= still_fails(std::move(candidate));
    }
    return any;
  }

  Program best_;
  Verdict verdict_;
  int tries_ = 0;
};

}  // namespace

Verdict check_apart(const Program& program) {
  int ends[2];
  if (pipe(ends) != 0) return {"no pipe", "system"};
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(30);
    const std::string what = check(program).value_or("");
    const auto written = write(ends[1], what.data(), what.size());
    _exit(written == static_cast<ssize_t>(what.size()) ? 0 : 2);
  }
  close(ends[1]);
  std::string what;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    what.append(buffer, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    const std::string name = fmt::format("signal {}", WTERMSIG(status));
    return {name, name};
  }
  if (what.empty()) return {};
  const auto has = [&](const char* text) { return what.find(text) != std::string::npos; };
  return {what, has("the oracle throws") ? "oracle"
                : has("throws: ")        ? "throws"
                : has("handed out")      ? "changed"
                                         : "wrong"};
}

Program shrink(Program program, const Verdict& verdict,
               const std::function<void(const std::string&)>& progress) {
  return Shrinker(std::move(program), verdict).run(progress);
}

}  // namespace rapt::programs
