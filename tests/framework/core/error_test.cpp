// The parts of errors: a program can tell kinds apart, and find operator and place.
#include "framework/core/error.hpp"

#include <string>

#include "framework/files/checkpoint.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt {
namespace {

/// The error that body() throws.
template <class Body>
Error error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error("never");
}

}  // namespace

TEST_CASE("an error tells its kind, its operator, what is wrong and where") {
  const Tape tape;
  const Error shape = error_of([] { matmul(zeros({2, 3}), zeros({2, 3})); });
  CHECK(shape.kind() == ErrorKind::shape);
  CHECK(shape.op() == "matmul");
  CHECK(shape.place() == "error_test.cpp:" + std::to_string(__LINE__ - 3));
  CHECK(shape.what() == "matmul: " + shape.detail() + "; at " + shape.place());

  const Error type = error_of([] { where(zeros({2}), zeros({2}), zeros({2})); });
  CHECK(type.kind() == ErrorKind::type);
  CHECK(type.op() == "where");

  const Error usage = error_of([] { (void)Var().shape(); });
  CHECK(usage.kind() == ErrorKind::usage);
  CHECK(usage.op().empty());
  CHECK(usage.place() == "error_test.cpp:" + std::to_string(__LINE__ - 3));
}

TEST_CASE("results that are not finite and files that cannot be read have types of their own") {
  for (const bool reference : {false, true}) {
    Executor guarded({.guard = true, .reference = reference});
    const Executor::Use use(guarded);
    const Tape tape;
    const Var nan = log(as_var(full({2}, -1.0)));
    try {
      nan.value();
      FAIL("nothing was thrown");
    } catch (const NonFiniteError& error) {
      CHECK(error.kind() == ErrorKind::not_finite);
      CHECK(error.op() == "log");
      CHECK(error.place() == "error_test.cpp:" + std::to_string(__LINE__ - 7));
    }
  }

  const TemporaryFolder folder;
  const std::string path = folder.file("short.safetensors");
  folder.write("short.safetensors", "x");
  for (const std::string& name : {path, folder.file("missing.safetensors")}) {
    try {
      (void)load_safetensors(name);
      FAIL("nothing was thrown");
    } catch (const FileError& error) {
      CHECK(error.kind() == ErrorKind::file);
      CHECK(std::string(error.what()).find(name) != std::string::npos);
    }
  }
}

constexpr auto shape_of_input = [](ShapeContext& c) { return c.input(0); };

TEST_CASE("what an operator throws keeps its type, and gets one operator and one place") {
  static const Op reads{
      .name = "reads", .shape = shape_of_input, .cpu = {.forward = [](const ForwardContext&) {
                                                  throw FileError("no such file");
                                                }}};
  static const Op placed{.name = "placed",
                         .shape = shape_of_input,
                         .cpu = {.forward = [](const ForwardContext&) {
                           throw Error({.op = "inner", .detail = "no", .place = "a.cpp:1"});
                         }}};
  for (const bool reference : {false, true}) {
    Executor executor({.reference = reference});
    const Executor::Use use(executor);
    const Tape tape;
    const Var read = record(reads, {zeros({1})});
    CHECK_THROWS_AS(read.value(), FileError);
    CHECK(error_of([&] { read.value(); }).op() == "reads");
    const Error error = error_of([&] { record(placed, {zeros({1})}).value(); });
    CHECK(std::string(error.what()) == "inner: no; at a.cpp:1");
  }
}

TEST_CASE("an error can be copied where it is caught") {
  const Error copy = error_of([] { throw Error({.op = "f", .detail = "no", .place = "a.cpp:1"}); });
  CHECK(std::string(copy.what()) == "f: no; at a.cpp:1");
  CHECK(std::string(Error({.op = "f", .detail = "no"}).what()) == "f: no");
  CHECK(std::string(Error("plain").what()) == "plain");
  CHECK(Error("plain").kind() == ErrorKind::usage);
}

}  // namespace rapt
