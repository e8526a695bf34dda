// Checks that every operator of the library occurs in a row of the operator table: in its value,
// its gradient, or its second derivative. op_table_test checks the results of the rows.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/catch.hpp"

namespace rapt::test {
namespace {

/// Returns the variables of type Op that the library's archive defines, according to the linker's
/// symbols. They are recognised by their size and a name that ends in "_op". An operator with
/// another name would not be found.
std::set<std::string> defined_operators() {
  const std::string command = std::string(RAPT_NM) + " -CS --defined-only " + RAPT_ARCHIVE;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char part[4096];
  while (std::fgets(part, sizeof(part), pipe) != nullptr) text += part;
  REQUIRE(pclose(pipe) == 0);
  std::set<std::string> names;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string address, size, type, name;
    if (!(words >> address >> size >> type) || !std::getline(words >> std::ws, name)) continue;
    if (type.size() != 1 || std::string("bBdDrRuV").find(type) == std::string::npos) continue;
    if (std::strtoull(size.c_str(), nullptr, 16) != sizeof(Op)) continue;
    const size_t colons = name.rfind("::");
    if (colons != std::string::npos) name = name.substr(colons + 2);
    if (name.size() > 3 && name.substr(name.size() - 3) == "_op") names.insert(name);
  }
  return names;
}

/// Returns each operator's name in error messages: the first string after its definition.
std::map<std::string, std::string> names_in_sources() {
  std::map<std::string, std::string> names;
  const std::regex definition(R"((\w+_op)(\{| =\s))");
  for (const char* folder : {"framework", "ops", "optim", "models"}) {
    const std::filesystem::path path = std::filesystem::path(RAPT_SOURCES) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.path().extension() != ".cpp") continue;
      std::ifstream in(entry.path());
      std::stringstream text;
      text << in.rdbuf();
      const std::string source = text.str();
      for (std::sregex_iterator at(source.begin(), source.end(), definition), end; at != end;
           ++at) {
        const size_t open = source.find('"', static_cast<size_t>(at->position()));
        const size_t close = source.find('"', open + 1);
        if (close != std::string::npos) {
          names.emplace((*at)[1], source.substr(open + 1, close - open - 1));
        }
      }
    }
  }
  return names;
}

/// Adds the operators that a row records: its own, those of its gradient and of the second
/// derivative.
void add_operators(const Row& row, std::set<std::string>& used) {
  const Tape tape(Training{Key{1}});
  std::vector<Var> vars, wrt;
  for (const Input& input : row.inputs) {
    vars.push_back(as_var(zeros(input.shape, input.dtype)));
    if (is_float(input.dtype)) wrt.push_back(vars.back());
  }
  const Var y = row.apply(vars);
  if (row.gradient) {
    Var total = sum(square(y));
    for (const Var& g : grad(total, wrt)) total = total + sum(g * g);
    (void)grad(total, wrt);
  }
  for (const Node& node : tape.graph().nodes) {
    if (node.op != nullptr) used.emplace(node.op->name);
  }
}

/// Operators without a row, with the reason or the test that replaces it.
const std::map<std::string, std::string> exceptions{
    {"score", "a place in a score function, which has no value by itself: attention_score_test"},
    {"sgd", "an update, which gives no value: optim_test, optimizer_kernel_test"},
    {"sgd_momentum", "as sgd"},
    {"adam", "as sgd"},
    {"keep_gradient", "an update: optim_test, where gradients are accumulated"},
    {"add_gradient", "as keep_gradient"},
    {"moving_average", "an update: average_test"},
    {"updates", "stands for all updates of a step: optim_test"},
};

}  // namespace

TEST_CASE("every operator of the library has a row, or a reason") {
  const std::set<std::string> defined = defined_operators();
  const std::map<std::string, std::string> names = names_in_sources();
  CHECK(defined.size() > 100);
  std::set<std::string> used, known;
  for (const Row& row : all_rows()) add_operators(row, used);
  for (const std::string& variable : defined) {
    const auto found = names.find(variable);
    INFO(variable << " is an Op of the library, but its definition was not found: it is to read `"
                  << variable << "{` or `" << variable << " = `, and then give the name");
    CHECK(found != names.end());
    if (found == names.end()) continue;
    const std::string& name = found->second;
    known.insert(name);
    INFO(variable << " (" << name
                  << ") has no row in tests/ops/table/op_rows_*.cpp: add one that uses it");
    CHECK(used.count(name) + exceptions.count(name) > 0);
  }
  for (const auto& [name, reason] : exceptions) {
    INFO(name << ": " << reason);
    CHECK(known.count(name) == 1);  // it still exists
    CHECK(used.count(name) == 0);   // and still has no row
  }
}

}  // namespace rapt::test
