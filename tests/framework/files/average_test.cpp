// Averaging of checkpoints.
#include "framework/files/average.hpp"

#include "framework/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

NamedTensors set_of(float a, float b, int32_t n) {
  return {{"w", tensor<float>({a, b})}, {"n", tensor<int32_t>({n})}};
}

TEST_CASE("the mean of floats, the last of whole numbers") {
  const NamedTensors mean = mean_of({set_of(1, 2, 5), set_of(2, 4, 6), set_of(6, 0, 7)});
  REQUIRE(mean.size() == 2);
  CHECK(mean[0].first == "w");
  CHECK(mean[0].second.to_vector<float>() == std::vector<float>{3, 2});
  CHECK(mean[1].second.to_vector<int32_t>() == std::vector<int32_t>{7});
  // Sums are made in double: in float the small one would be lost.
  const NamedTensors far = mean_of({{{"x", tensor<float>({1e8f})}},
                                    {{"x", tensor<float>({1})}},
                                    {{"x", tensor<float>({-1e8f})}}});
  CHECK(far[0].second.item() == Approx(1.0 / 3));
}

TEST_CASE("files in another order, with what the last one says of itself") {
  const TemporaryFolder folder;
  save_safetensors(folder.file("a"), set_of(1, 3, 1), {{"step", "10"}});
  NamedTensors second = set_of(3, 5, 2);
  std::swap(second[0], second[1]);
  save_safetensors(folder.file("b"), second, {{"step", "20"}});
  const Checkpoint mean = average_checkpoints({folder.file("a"), folder.file("b")});
  CHECK(mean["w"].to_vector<float>() == std::vector<float>{2, 4});
  CHECK(mean["n"].to_vector<int32_t>() == std::vector<int32_t>{2});
  CHECK(mean.metadata.at("step") == "20");
  // The files are as they were.
  CHECK(load_safetensors(folder.file("a"))["w"].to_vector<float>() == std::vector<float>{1, 3});
}

TEST_CASE("sets that do not fit each other") {
  CHECK_THROWS_WITH(mean_of({}), Contains("nothing to average"));
  const NamedTensors one = set_of(1, 2, 3);
  NamedTensors other = one;
  other.pop_back();
  CHECK_THROWS_WITH(mean_of({one, other}), Contains("set 2 has no 'n'"));
  CHECK_THROWS_WITH(mean_of({other, one}), Contains("set 2 has 'n', which the first has not"));
  other = one;
  other[0].second = tensor<float>({1, 2, 3});
  CHECK_THROWS_WITH(mean_of({one, other}),
                    Contains("'w' is float32 [3] in set 2, and float32 [2] in the first"));
  other[0].second = tensor<int32_t>({1, 2});
  CHECK_THROWS_WITH(mean_of({one, other}), Contains("'w' is int32 [2] in set 2"));
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(average_checkpoints({folder.file("none")}), Contains("none"));
}

}  // namespace
}  // namespace rapt
