// Arrays as text.
#include "tasks/draw/arrays.hpp"

#include <limits>

#include "tests/support/catch.hpp"

using namespace rapt;
using namespace rapt::tasks;

TEST_CASE("arrays of every rank and type") {
  CHECK(array_text(full({}, 2.5)) == "2.5 float32 []");
  CHECK(array_text(tensor(std::vector<int32_t>{1, -20, 3}, {3})) == "[  1 -20   3] int32 [3]");
  CHECK(array_text(tensor(std::vector<float>{0.5f, 1, 1.0f / 3, 100}, {2, 2})) ==
        "[[   0.5      1]\n [0.3333    100]] float32 [2, 2]");
  CHECK(array_text(tensor(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2})) ==
        "[[[1 2]\n  [3 4]]\n\n [[5 6]\n  [7 8]]] int32 [2, 2, 2]");
  CHECK(array_text(tensor(std::vector<bool>{true, false}, {2})) == "[ true false] boolean [2]");
  CHECK(array_text(Tensor({0, 3})) == "[] float32 [0, 3]");
  CHECK(array_text(full({1}, 1.0 / 3, DType::float64), {.digits = 10}) ==
        "[0.3333333333] float64 [1]");
}

TEST_CASE("numbers that are not finite are shown") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(array_text(tensor(std::vector<float>{infinity, -infinity, 0}, {3})) ==
        "[ inf -inf    0] float32 [3]");
}

TEST_CASE("large arrays are shortened along each axis that is long") {
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < 40; ++i) numbers.push_back(i);
  CHECK(array_text(tensor(numbers, {2, 20}), {.most = 10, .edge = 2}) ==
        "[[ 0  1 ... 18 19]\n [20 21 ... 38 39]] int32 [2, 20]");
  CHECK(array_text(tensor(numbers, {40}), {.most = 10, .edge = 1}) == "[ 0 ... 39] int32 [40]");
  CHECK(array_text(full({2000, 3}, 1)).size() < 100);
}
