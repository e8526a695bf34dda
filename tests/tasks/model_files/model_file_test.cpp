// Model files: one description of options for writing, reading and printing, and what is refused.
#include "tasks/model_files/model_file.hpp"

#include "framework/core/error.hpp"
#include "models/layers/linear.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/tasks/model_files/altered.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

enum class Colour { red, green };
constexpr Name<Colour> colours[] = {{Colour::red, "red"}, {Colour::green, "green"}};

struct Options {
  std::int64_t width = 3;
  int rate = 8000;
  double share = 0.1;
  bool lower = false;
  Colour colour = Colour::red;
  std::vector<std::int64_t> stages = {};

  bool operator==(const Options&) const = default;
};

template <class Visitor>
void fields(Visitor& v, Options& o) {
  v.number("width", o.width, "width of the layers");
  v.number("rate", o.rate, nullptr);
  v.real("share", o.share, "a share");
  v.flag("lower", o.lower, "lower case");
  v.choice("colour", o.colour, colours, "red or green");
  v.list("stage", "stages", o.stages, nullptr);
}

const Options unusual{.width = 7,
                      .rate = 16000,
                      .share = 1.0 / 3,
                      .lower = true,
                      .colour = Colour::green,
                      .stages = {4, 0, 9}};

/// Saves a layer of 2 x 3 weights as a model with these options.
std::string saved(const TemporaryFolder& folder, const Options& options) {
  Linear layer(3, 2, Key{1});
  const std::string path = folder.file("model.safetensors");
  save_model(path, "layer 1", parameters(layer), described(options));
  return path;
}

}  // namespace

TEST_CASE("fields are read as they were written") {
  const TemporaryFolder folder;
  for (const Options& options : {Options{}, unusual}) {
    const ModelFile file(saved(folder, options));
    Options read{.width = 1, .rate = 1, .share = 5, .stages = {1, 2, 3, 4, 5}};
    file.read(read);
    CHECK(read == options);
    CHECK(file.kind() == "layer 1");
    CHECK(file.format() == model_format);
    CHECK(file.numbers() == 8);  // weight and bias
  }
}

TEST_CASE("fields are printed one per line") {
  const std::string text = printed(unusual);
  CHECK_THAT(text, Contains("  width            7              width of the layers\n"));
  CHECK_THAT(text, Contains("  rate             16000\n"));
  CHECK_THAT(text, Contains("  lower            yes "));
  CHECK_THAT(text, Contains("  colour           green "));
  CHECK_THAT(text, Contains("  stage            4 0 9\n"));
}

TEST_CASE("malformed metadata are refused by name") {
  const TemporaryFolder folder;
  const auto refused = [&](const char* name, const char* value) {
    const std::string path = saved(folder, unusual);
    test::alter(path, {{name, value}});
    const ModelFile file(path);
    Options options;
    CHECK_THROWS_WITH(file.read(options),
                      Contains(path) && Contains(std::string("the entry '") + name + "'"));
  };
  for (const char* value : {"", "-1", "3x", "1e3", "16777217", "99999999999999999999"}) {
    refused("width", value);
    refused("stage_1", value);
    refused("stages", value);
  }
  refused("share", "");
  refused("share", "0.1.2");
  refused("colour", "blue");
  const std::string path = saved(folder, unusual);
  test::alter(path, {{"stages", "4"}});  // but there are three
  Options options;
  CHECK_THROWS_WITH(ModelFile(path).read(options), Contains("the entry 'stage_3'"));
}

TEST_CASE("files of a later format and of other kinds are refused") {
  const TemporaryFolder folder;
  const std::string path = saved(folder, {});
  const auto load = [&] { return ModelFile(path); };
  CHECK_THROWS_WITH(load().expect_kind({"other 1", "third 2"}),
                    Contains("it is 'layer 1', expected 'other 1' or 'third 2'"));
  CHECK_NOTHROW(load().expect_kind({"other 1", "layer 1"}));
  test::alter(path, {{"format", "3"}});
  CHECK_THROWS_WITH(load(), Contains(path) && Contains("reads up to format 2"));
  for (const char* value : {"0", "-1", "two", "2 "}) {
    test::alter(path, {{"format", value}});
    CHECK_THROWS_WITH(load(), Contains("the entry 'format' of its metadata is no number"));
  }
  test::alter(path, {{"format", ""}});
  CHECK(load().format() == 1);
}

TEST_CASE("a file that asks for more than its tensors hold is refused") {
  const TemporaryFolder folder;
  const ModelFile file(saved(folder, {}));
  CHECK_NOTHROW(file.expect_numbers(8));
  CHECK_THROWS_WITH(file.expect_numbers(9), Contains("at least 9 numbers, its tensors hold 8"));
  CHECK_NOTHROW(file.expect_numbers(8, 1 << 24));
  CHECK_THROWS_WITH(file.expect_numbers(8, 2e7), Contains("tables of 2e+07 numbers"));
}

TEST_CASE("another file than the one that a model was saved with is refused") {
  const TemporaryFolder folder;
  const std::string words = folder.write("words.txt", "a\nb\n");
  const std::string path = saved(folder, {});
  CHECK(digest_of_file(words) == digest_of_file(folder.write("copy.txt", "a\nb\n")));
  test::alter(path, {{"words_digest", digest_of_file(words)}});
  CHECK_NOTHROW(ModelFile(path).expect_digest("words_digest", words));
  folder.write("words.txt", "b\na\n");
  CHECK_THROWS_WITH(ModelFile(path).expect_digest("words_digest", words),
                    Contains("words.txt is another file than the one"));
  CHECK_THROWS_WITH(ModelFile(path).expect_digest("words_digest", folder.file("none")),
                    Contains(folder.file("none")));
  CHECK_THROWS_WITH(ModelFile(path).expect_digest("no_digest", words), Contains("expected none"));
  test::alter(path, {{"format", ""}});
  CHECK_NOTHROW(ModelFile(path).expect_digest("no_digest", words));  // old files have none
}

TEST_CASE("parameters are restored, and others are an error") {
  const TemporaryFolder folder;
  const std::string path = saved(folder, {});
  Linear same(3, 2, Key{1}), other(3, 2, Key{2}), wide(4, 2, Key{1});
  parameters(same);
  ModelFile(path).restore(parameters(other));
  CHECK(other.weight.value().to_vector<float>() == same.weight.value().to_vector<float>());
  CHECK_THROWS_WITH(ModelFile(path).restore(parameters(wide)), Contains(path));
  std::vector<Parameter> one{parameters(same)[0]};
  CHECK_THROWS_WITH(ModelFile(path).restore(one), Contains(path));
}

TEST_CASE("what a model is and how it was trained") {
  const TemporaryFolder folder;
  const ModelFile file(saved(folder, unusual));
  const std::string plain = model_info(file, printed(unusual));
  CHECK_THAT(plain, Contains("layer 1, format 2, 8 parameters in 2 tensors\n  width "));
  CHECK_THAT(plain, Contains("how it was trained is not known"));
  folder.write("training.json", R"({"program": "translate", "rapt": "1.2.3", "epoch": 4, "step": 90,
    "seconds": 90, "scores": {"loss": 2.5}, "options": {"--lr": "0.01"}})");
  const std::string all = model_info(file, "");
  CHECK_THAT(all, Contains("trained by translate of rapt 1.2.3: epoch 4, step 90, 1.5 minutes\n"));
  CHECK_THAT(all,
             Contains("dev loss             2.5\n") && Contains("--lr                 0.01\n"));
  folder.write("training.json", "[]");
  CHECK_THAT(model_info(file, ""), Contains("how it was trained is not known"));
}
