#include "framework/core/recycled.hpp"

#include <array>
#include <bit>
#include <new>

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr std::size_t alignment = 64;
constexpr int classes = 9;  // block sizes: 64, 128 ... 16384 bytes
constexpr std::size_t largest = alignment << (classes - 1);
/// Maximum number of bytes that a thread keeps per class.
constexpr std::size_t most_bytes = std::size_t{1} << 18;

int class_of(std::size_t bytes) {
  return bytes <= alignment ? 0 : static_cast<int>(std::bit_width((bytes - 1) / alignment));
}

void* fresh(std::size_t bytes) { return ::operator new (bytes, std::align_val_t{alignment}); }
void drop(void* memory) noexcept { ::operator delete (memory, std::align_val_t{alignment}); }

/// Free blocks, linked through their first bytes.
struct Lists {
  struct Block {
    Block* next;
  };
  struct List {
    Block* first = nullptr;
    std::size_t bytes = 0;
  };
  std::array<List, classes> lists;

  ~Lists();
};

// True when the thread's lists are destroyed. Objects that outlive them may still return memory.
thread_local bool lists_are_gone = false;
thread_local Lists thread_lists;

Lists::~Lists() {
  lists_are_gone = true;
  for (List& list : lists) {
    while (list.first != nullptr) {
      Block* const block = list.first;
      list.first = block->next;
      drop(block);
    }
  }
}

}  // namespace

void* take_recycled(std::size_t bytes) {
  if (bytes > largest) return fresh(bytes);
  const int c = class_of(bytes);
  const std::size_t size = alignment << c;
  if (lists_are_gone) return fresh(size);
  Lists::List& list = thread_lists.lists[static_cast<std::size_t>(c)];
  if (list.first == nullptr) return fresh(size);
  Lists::Block* const block = list.first;
  list.first = block->next;
  list.bytes -= size;
  return block;
}

void give_recycled(void* memory, std::size_t bytes) noexcept {
  if (bytes > largest || lists_are_gone) return drop(memory);
  const int c = class_of(bytes);
  const std::size_t size = alignment << c;
  Lists::List& list = thread_lists.lists[static_cast<std::size_t>(c)];
  if (list.bytes + size > most_bytes) return drop(memory);
  list.first = new (memory) Lists::Block{list.first};
  list.bytes += size;
}

}  // namespace v0
}  // namespace rapt
