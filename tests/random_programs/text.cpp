#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/random_programs/program.hpp"

namespace rapt::programs {
namespace {

std::string list(const std::vector<std::string>& words, size_t from) {
  std::string text;
  for (size_t i = from; i < words.size(); ++i) text += (i > from ? ", " : "") + words[i];
  return text;
}

/// Replaces $0, $*, $1* by operands and #0, #*, #1* by attributes.
std::string filled(const std::string& text, const std::vector<std::string>& in,
                   const std::vector<std::string>& p) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool place = (text[i] == '$' || text[i] == '#') && i + 1 < text.size();
    if (!place) {
      out += text[i];
      continue;
    }
    const auto& words = text[i] == '$' ? in : p;
    size_t from = 0;
    bool digits = false;
    while (i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') {
      from = 10 * from + static_cast<size_t>(text[++i] - '0');
      digits = true;
    }
    if (i + 1 < text.size() && text[i + 1] == '*') {
      ++i;
      out += list(words, from);
    } else if (digits && from < words.size()) {
      out += words[from];
    }
  }
  return out;
}

std::string leaf_text(const Statement& s) {
  const Tensor tensor = leaf_tensor(s, 0);
  const std::string key = fmt::format("Key{{77}}.fold({}).fold(step)", s.p[4]);
  std::string text = fmt::format(
      "uniform({}, {{{}}}, {}, {}, DType::{})", key, fmt::join(s.p.begin() + 5, s.p.end(), ", "),
      static_cast<double>(s.p[1]) / 1000, static_cast<double>(s.p[2]) / 1000, name(tensor.dtype()));
  if (!is_float(tensor.dtype())) text = "/*floored*/ " + text;
  if (s.p[3] != 0) text = "/*last axes swapped in memory*/ " + text;
  return text;
}

}  // namespace

std::string to_text(const Program& program) {
  std::string out = fmt::format("// seed {}\n", program.seed);
  if (!program.optimizer.empty()) {
    out += fmt::format("// the optimizer's numbers: {}\n", fmt::join(program.optimizer, " "));
  }
  std::string tape = program.training
                         ? fmt::format("Tape tape(Training{{Key{{{}}}.fold(step)}});", program.seed)
                         : "Tape tape;";
  std::string parameters, body;
  for (const Statement& s : program.statements) {
    const std::string& name = s.kind->name;
    std::vector<std::string> in, p;
    for (const int value : s.in) in.push_back(fmt::format("v{}", value));
    for (const int64_t word : s.p) p.push_back(std::to_string(word));
    std::string call;
    if (name == "parameter") {
      parameters += fmt::format("Parameter p{}({});\n", s.out[0], leaf_text(s));
      call = fmt::format("as_var(p{})", s.out[0]);
    } else if (name == "input") {
      call = fmt::format("as_var({})", leaf_text(s));
    } else if (name == "look") {
      if (s.p[0] == 0) {
        for (const std::string& value : in) call += value + ".value(); ";
      } else {
        std::vector<std::string> wanted = in;
        if (s.p[0] == 2) wanted.assign(in.rbegin(), in.rend());
        call = fmt::format("Executor::current().run({{{}}});", list(wanted, 0));
      }
      body += "  " + call + "\n";
      continue;
    } else if (name == "accumulate" || name == "step") {
      const size_t losses = s.p.empty() ? 1 : static_cast<size_t>(s.p[0]);
      const std::string loss =
          losses == 1 ? in[0] : fmt::format("step % 2 == 0 ? {} : {}", in[0], in[1]);
      body += fmt::format("  optimizer.{}({}, {{{}}});\n", name, loss, list(in, losses));
      continue;
    } else if (s.kind->text.empty()) {
      call = fmt::format("{}({})", name,
                         list(in, 0) + (p.empty() || in.empty() ? "" : ", ") + list(p, 0));
    } else {
      call = filled(s.kind->text, in, p);
    }
    const ValueInfo& first = program.values[static_cast<size_t>(s.out.at(0))];
    if (s.out.size() == 1) {
      body += fmt::format("  Var v{} = {};", s.out[0], call);
    } else {
      std::vector<std::string> names;
      for (const int value : s.out) names.push_back(fmt::format("v{}", value));
      body += fmt::format("  auto [{}] = {};", list(names, 0), call);
    }
    body += fmt::format(
        "  // {}{}\n", to_string(first.shape),
        first.dtype == DType::float32 ? "" : " " + std::string(rapt::name(first.dtype)));
  }
  out += parameters;
  out += fmt::format("for (int step = 0; step < {}; ++step) {{\n  {}\n{}}}\n", program.steps, tape,
                     body);
  return out;
}

}  // namespace rapt::programs
