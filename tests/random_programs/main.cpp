// Tests the planner and the executor with random programs against an oracle. See `random_programs
// --help`.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>
#include <sstream>

#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/reduce/reduce.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/random_programs/generator.hpp"
#include "tests/random_programs/run.hpp"
#include "tests/random_programs/shrink.hpp"
#include "tests/support/forced_isa.hpp"

namespace rapt::programs {
namespace {

constexpr const char* help = R"(random_programs [options]
  --seeds FIRST COUNT  programs of these seeds (default 0 1000); exit code 0: all agree
  --soak               from FIRST on until stopped
  --operators N        statements of a program (default: a mix of 5 to 80)
  --shrink N           how many failing programs are made small and printed (default 3)
  --counts             how often each operator was recorded
  --coverage           fail where an operator of the table was never recorded
  --show SEED          print a program, run it, and make it small where it fails
)";

struct Options {
  uint64_t first = 0, count = 1000;
  bool soak = false, counts = false, coverage = false, show = false;
  int64_t shrink = 3;
  GenerateOptions generate;
};

struct Failure {
  uint64_t seed;
  Verdict verdict;
};

struct Totals {
  uint64_t programs = 0, statements = 0;
  Touched touched;
  std::vector<Failure> failures;
};

/// The progress of a child process, which its parent reads after a crash.
struct Shared {
  std::atomic<uint64_t> seed;
  std::atomic<uint64_t> programs;
  std::atomic<uint64_t> statements;
  std::atomic<double> longest;
  std::atomic<uint64_t> slowest;
};

Shared& shared() {
  static void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *static_cast<Shared*>(memory);
}

/// Runs the programs of some seeds in a child process. Writes lines with the failures, then with
/// counts of operators and of refused kinds.
[[noreturn]] void run_block(uint64_t first, uint64_t end, const Options& options, int out) {
  Touched touched;
  std::string report;
  const auto send = [&] {
    for (size_t done = 0; done < report.size();) {
      const ssize_t n = write(out, report.data() + done, report.size() - done);
      if (n <= 0) _exit(3);
      done += static_cast<size_t>(n);
    }
    report.clear();
  };
  for (uint64_t seed = first; seed < end; ++seed) {
    shared().seed = seed;
    alarm(60);
    const auto start = std::chrono::steady_clock::now();
    const Program program = generate(seed, options.generate);
    if (const auto wrong = check(program, &touched)) {
      report = fmt::format("! {} {}\n", seed, *wrong);
      send();
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (time.count() > shared().longest) {
      shared().longest = time.count();
      shared().slowest = seed;
    }
    ++shared().programs;
    shared().statements += program.statements.size();
  }
  for (const auto& [name, count] : touched) report += fmt::format("# {} {}\n", name, count);
  for (const auto& [what, count] : refusals()) report += fmt::format("? {} {}\n", count, what);
  send();
  _exit(0);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Runs all seeds of the block. After a crash, a new child continues with the next seed.
void run_seeds(uint64_t first, uint64_t end, const Options& options, Totals& totals,
               std::map<std::string, int64_t>& refused) {
  while (first < end) {
    int ends[2];
    if (pipe(ends) != 0) std::exit(4);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      run_block(first, end, options, ends[1]);
    }
    close(ends[1]);
    std::string report;
    char buffer[65536];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
      report.append(buffer, static_cast<size_t>(n));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line.substr(2));
      if (line[0] == '!') {
        uint64_t seed = 0;
        words >> seed;
        std::string what;
        std::getline(words, what);
        totals.failures.push_back({seed, {what, "wrong"}});
      } else if (line[0] == '#') {
        std::string name;
        int64_t count = 0;
        words >> name >> count;
        totals.touched[name] += count;
      } else if (line[0] == '?') {
        int64_t count = 0;
        std::string what;
        words >> count;
        std::getline(words, what);
        refused[what] += count;
      }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    const uint64_t seed = shared().seed;
    const std::string what = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                 : fmt::format("exit code {}", WEXITSTATUS(status));
    totals.failures.push_back({seed, {what, what}});
    first = seed + 1;
  }
}

/// Returns the operators that the rows of the operator table and their derivatives record.
std::set<std::string> operators_of_table() {
  std::set<std::string> names;
  for (const test::Row& row : test::all_rows()) {
    const Tape tape(Training{Key{1}});
    try {
      Vars in, roots;
      for (const test::Input& input : row.inputs) {
        in.push_back(as_var(zeros(input.shape, input.dtype)));
        if (is_float(input.dtype)) roots.push_back(in.back());
      }
      const Var y = row.apply(in);
      if (row.gradient) grad(sum(y), roots);
    } catch (const std::exception&) {
      // A row that requests values of its inputs: the nodes recorded so far count.
    }
    for (const Node& node : tape.graph().nodes) {
      if (node.op != nullptr) names.insert(std::string(node.op->name));
    }
  }
  return names;
}

void print_small(const Failure& failure, const Options& options) {
  const Program program = generate(failure.seed, options.generate);
  const Verdict verdict = check_apart(program);
  fmt::print("\n==== seed {}: {}\n", failure.seed, failure.verdict.what);
  if (!verdict.fails()) {
    fmt::print("alone it agrees: it depends on the programs before it, or on chance\n{}",
               to_text(program));
    return;
  }
  const Program small = shrink(program, verdict, [](const std::string& line) {
    fmt::print(stderr, "  shrinking: {}\n", line);
  });
  fmt::print("from {} statements to {}: {}\n{}", program.statements.size(), small.statements.size(),
             check_apart(small).what, to_text(small));
  std::fflush(stdout);
}

int show(const Options& options) {
  const Program program = generate(options.first, options.generate);
  fmt::print("{}", to_text(program));
  std::fflush(stdout);
  const Verdict verdict = check_apart(program);
  fmt::print("{}\n", verdict.fails() ? verdict.what : "agrees");
  if (verdict.fails()) print_small({options.first, verdict}, options);
  return verdict.fails() ? 1 : 0;
}

int run_all(const Options& options) {
  constexpr uint64_t block = 500;
  Totals totals;
  std::map<std::string, int64_t> refused;
  const auto start = std::chrono::steady_clock::now();
  size_t told = 0;
  for (uint64_t seed = options.first; options.soak || seed < options.first + options.count;) {
    const uint64_t end =
        options.soak ? seed + block : std::min(seed + block, options.first + options.count);
    run_seeds(seed, end, options, totals, refused);
    seed = end;
    for (; told < totals.failures.size(); ++told) {
      const Failure& f = totals.failures[told];
      fmt::print("seed {}: {}\n", f.seed, first_line(f.verdict.what));
      if (static_cast<int64_t>(told) < options.shrink) print_small(f, options);
    }
    std::fflush(stdout);
    if (options.soak && (seed - options.first) % 20000 == 0) {
      fmt::print("{} programs, {} failed\n", seed - options.first, totals.failures.size());
      std::fflush(stdout);
    }
  }
  std::string missing;
  for (const std::string& name : operators_of_table()) {
    if (!totals.touched.contains(name)) missing += " " + name;
  }
  if (options.counts) {
    fmt::print("{:9} is the slowest seed, {:.3f} s\n", shared().slowest.load(),
               shared().longest.load());
    for (const auto& [name, count] : totals.touched) fmt::print("{:9} {}\n", count, name);
    for (const auto& [what, count] : refused) fmt::print("{:9} refused: {}\n", count, what);
  }
  totals.programs = shared().programs;
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  fmt::print("{} programs of {:.1f} statements, {} operators, {} failed, {:.1f} s\n",
             totals.programs,
             static_cast<double>(shared().statements) /
                 static_cast<double>(std::max<uint64_t>(1, totals.programs)),
             totals.touched.size(), totals.failures.size(), time.count());
  if (options.coverage && !missing.empty()) {
    fmt::print("never recorded:{}\n", missing);
    return 1;
  }
  return totals.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace rapt::programs

int main(int argc, char** argv) {
  using namespace rapt::programs;
  shared();  // before any child is forked
  if (const int status = rapt::forced_isa_status(); status != 0) return status;
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&] {
      if (++i >= argc) {
        fmt::print("{} needs a number\n{}", word, help);
        std::exit(2);
      }
      return std::strtoull(argv[i], nullptr, 10);
    };
    if (word == "--seeds") {
      options.first = number();
      options.count = number();
    } else if (word == "--soak") {
      options.soak = true;
    } else if (word == "--operators") {
      options.generate.operators = static_cast<int>(number());
    } else if (word == "--shrink") {
      options.shrink = static_cast<int64_t>(number());
    } else if (word == "--counts") {
      options.counts = true;
    } else if (word == "--coverage") {
      options.coverage = true;
    } else if (word == "--show") {
      options.show = true;
      options.first = number();
    } else {
      fmt::print("{}", help);
      return word == "--help" ? 0 : 2;
    }
  }
  return options.show ? show(options) : run_all(options);
}
