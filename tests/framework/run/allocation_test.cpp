// A training step that was made before allocates nothing: not when it is recorded, differentiated
// or run. This program counts what operator new is asked for, in every thread.
#include <atomic>
#include <new>
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/own_allocator.hpp"

namespace {

std::atomic<int64_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
  ++allocations;
  void* const memory = rapt::test::allocated(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
// std::stable_sort asks this one. The library's would ask ours, but a sanitizer's is of another
// kind.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }

namespace rapt {
namespace {

Tensor tokens(int64_t rows, int64_t length, uint64_t seed) {
  return test::tokens(rows, length, seed, 50);
}

/// The fewest allocations of one of some repeated steps: another thread may still take memory for
/// the first time in one of them, and then not in the next.
template <class Model, class Logits>
int64_t allocations_in_a_step(Model& model, int threads, const Logits& logits) {
  Executor executor({.threads = threads, .parallel_from = threads > 1 ? 0.0 : 1e9});
  const Executor::Use use(executor);
  Adam adam(parameters(model), {.lr = 1e-3, .clip_norm = 1});
  const Tensor source = tokens(8, 7, 1), in = tokens(8, 6, 2), out = tokens(8, 6, 3);
  int64_t fewest = 1 << 30;
  for (int step = 0; step < 30; ++step) {
    const int64_t before = allocations.load();
    {
      const Tape tape(Training{Key{5}.fold(static_cast<uint64_t>(step))});
      const Var loss = cross_entropy(logits(model, source, in), out, {.label_smoothing = 0.1});
      adam.step(loss);
      (void)loss.item();
    }
    if (step >= 5) fewest = std::min(fewest, allocations.load() - before);
  }
  CHECK(executor.counters().plans_made == 1);
  return fewest;
}

const auto translate = [](auto& model, const Tensor& source, const Tensor& in) {
  return model(source, in);
};

TEST_CASE("the counter counts") {
  const int64_t before = allocations.load();
  const auto made = std::make_unique<int>(3);
  CHECK(allocations.load() == before + 1);
}

TEST_CASE("a repeated training step allocates nothing") {
  const int threads = GENERATE(1, 2);
  CAPTURE(threads);
  SECTION("GruSeq2Seq with additive attention") {
    GruSeq2Seq model({.source_vocab = 50,
                      .target_vocab = 50,
                      .embed = 24,
                      .hidden = 40,
                      .readout = 32,
                      .dropout = 0.3},
                     Key{1});
    CHECK(allocations_in_a_step(model, threads, translate) == 0);
  }
  SECTION("GruSeq2Seq without attention") {
    GruSeq2Seq model({.source_vocab = 50,
                      .target_vocab = 50,
                      .embed = 24,
                      .hidden = 40,
                      .attention = AttentionKind::none},
                     Key{1});
    CHECK(allocations_in_a_step(model, threads, translate) == 0);
  }
  SECTION("Transformer") {
    Transformer model({.source_vocab = 50,
                       .target_vocab = 50,
                       .width = 32,
                       .heads = 4,
                       .encoder_layers = 2,
                       .decoder_layers = 2,
                       .feed_forward = 64,
                       .dropout = 0.1},
                      Key{1});
    CHECK(allocations_in_a_step(model, threads, translate) == 0);
  }
  SECTION("Gpt") {
    Gpt model({.vocab = 50, .width = 32}, Key{1});
    CHECK(allocations_in_a_step(model, threads, [](auto& gpt, const Tensor&, const Tensor& in) {
            return gpt(in);
          }) == 0);
  }
}

}  // namespace
}  // namespace rapt
