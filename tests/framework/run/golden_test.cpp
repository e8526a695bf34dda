// Two short trainings, compared with what was recorded: every loss, and a hash of the parameters at
// the end. A change that rounds otherwise anywhere on their way is seen here.
//
// The numbers lie in tests/framework/run/golden, a file for each instruction set. `./dev golden`
// records them anew, with every set that the processor has. That is right where a commit changes
// how something is rounded, dropped, drawn or ordered, and says so. It is wrong where nobody knows
// what changed them.
//
// Bits are promised for one instruction set, whatever the number of threads; compilers may contract
// a product and a sum into one instruction in other places, and exp() of the C library may change.
// So the file says which compiler and library recorded it. Others are held to a tolerance.
#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <rapt/rapt.hpp>
#include <sstream>

#include "framework/core/cpu.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

/// What two builds must share, or their bits may differ.
std::string toolchain() {
#if defined(__clang__)
  const std::string compiler = fmt::format("clang {}", __clang_major__);
#else
  const std::string compiler = fmt::format("g++ {}", __GNUC__);
#endif
#if defined(__x86_64__)
  const std::string processor = "x86-64";
#else
  const std::string processor = "another processor";
#endif
  return fmt::format("{}, glibc {}, {}", compiler, gnu_get_libc_version(), processor);
}

struct Curve {
  std::string name;
  std::vector<double> losses;
  uint64_t parameters = 0;  // hash of their bytes
};

/// FNV-1a over the bytes of all parameters, in their order.
uint64_t hash(const std::vector<Parameter>& all) {
  uint64_t h = 0xcbf29ce484222325;
  for (const Parameter& parameter : all) {
    const Tensor value = parameter.value();
    for (const float number : value.data<float>()) {
      const auto bits = std::bit_cast<uint32_t>(number);
      for (int shift = 0; shift < 32; shift += 8) {
        h = (h ^ (bits >> shift & 0xff)) * 0x100000001b3;
      }
    }
  }
  return h;
}

/// Sentences of different lengths, filled up with token 0.
Tensor sentences(int64_t rows, int64_t length, Key key) {
  Tensor ids({rows, length}, DType::int32);
  for (int64_t i = 0; i < ids.size(); ++i) {
    const int64_t row = i / length, place = i % length;
    const bool filled = place < length - row % 4;
    ids.data<int32_t>()[static_cast<size_t>(i)] =
        filled ? static_cast<int32_t>(1 + key.below(40, static_cast<uint64_t>(i))) : 0;
  }
  return ids;
}

template <class Model>
Curve train(const std::string& name, Model model) {
  constexpr int steps = 30;
  Curve curve{.name = name, .losses = {}, .parameters = 0};
  Adam adam(parameters(model), {.lr = 3e-3, .clip_norm = 0.7});
  for (uint64_t step = 0; step < steps; ++step) {
    const Key key = Key{17}.fold(step);
    const Tape tape(Training{key});
    const Tensor source = sentences(7, 9, key.fold(1)), in = sentences(7, 8, key.fold(2));
    const Var loss = cross_entropy(model(source, in), in, {.ignore = 0, .label_smoothing = 0.1});
    adam.step(loss);
    curve.losses.push_back(loss.item());
  }
  curve.parameters = hash(parameters(model));
  return curve;
}

/// Odd widths: vectors of every length have a rest.
std::vector<Curve> curves() {
  return {train("gru", GruSeq2Seq({.source_vocab = 41,
                                   .target_vocab = 41,
                                   .embed = 19,
                                   .hidden = 27,
                                   .readout = 21,
                                   .dropout = 0.2},
                                  Key{3})),
          train("transformer", Transformer({.source_vocab = 41,
                                            .target_vocab = 41,
                                            .width = 36,
                                            .heads = 3,
                                            .encoder_layers = 2,
                                            .decoder_layers = 2,
                                            .feed_forward = 70,
                                            .dropout = 0.1},
                                           Key{4}))};
}

std::filesystem::path file() {
  return std::filesystem::path(RAPT_GOLDEN_FOLDER) / (std::string(name(active_isa())) + ".txt");
}

struct Recorded {
  std::string toolchain;
  std::vector<Curve> curves;
};

Recorded recorded() {
  std::ifstream in(file());
  INFO("there is no " << file() << "; ./dev golden records it");
  REQUIRE(in.good());
  Recorded all;
  std::getline(in, all.toolchain);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string what, value;
    words >> what >> value;
    if (what == "curve") {
      all.curves.push_back({.name = value, .losses = {}, .parameters = 0});
    } else if (what == "loss") {
      all.curves.back().losses.push_back(std::strtod(value.c_str(), nullptr));
    } else {
      all.curves.back().parameters = std::strtoull(value.c_str(), nullptr, 16);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("two trainings give the losses and the parameters that were recorded") {
  const Recorded wanted = recorded();
  const std::vector<Curve> given = curves();
  const bool to_the_bit = wanted.toolchain == toolchain();
  INFO("recorded by " << wanted.toolchain << ", this is " << toolchain());
  REQUIRE(given.size() == wanted.curves.size());
  for (size_t c = 0; c < given.size(); ++c) {
    INFO(given[c].name << ", " << name(active_isa()));
    CHECK(given[c].name == wanted.curves[c].name);
    REQUIRE(given[c].losses.size() == wanted.curves[c].losses.size());
    for (size_t step = 0; step < given[c].losses.size(); ++step) {
      const double got = given[c].losses[step], want = wanted.curves[c].losses[step];
      INFO("step " << step << ": " << fmt::format("{:a} for {:a}", got, want));
      if (to_the_bit) {
        REQUIRE(got == want);
      } else {
        // Rounding errors of 1e-7 grow over the steps.
        REQUIRE(std::abs(got - want) <= 1e-4 * want);
      }
    }
    if (to_the_bit) CHECK(given[c].parameters == wanted.curves[c].parameters);
    // That the models learn at all: else equal numbers would say little.
    CHECK(given[c].losses.back() < 0.98 * given[c].losses.front());
  }
}

TEST_CASE("the trainings give the same bits on any number of threads") {
  const std::vector<Curve> wanted = curves();
  for (const int threads : {1, 3}) {
    Executor executor({.threads = threads, .parallel_from = 0});
    const Executor::Use use(executor);
    const std::vector<Curve> given = curves();
    for (size_t c = 0; c < given.size(); ++c) {
      CHECK(given[c].losses == wanted[c].losses);
      CHECK(given[c].parameters == wanted[c].parameters);
    }
  }
}

TEST_CASE("record the curves anew", "[.renew]") {
  std::ofstream out(file());
  out << toolchain() << "\n";
  for (const Curve& curve : curves()) {
    out << "curve " << curve.name << "\n";
    for (const double loss : curve.losses) out << fmt::format("loss {:a}\n", loss);
    out << fmt::format("parameters {:016x}\n", curve.parameters);
  }
  out.close();
  REQUIRE(out.good());
}

}  // namespace rapt
