#include "tasks/draw/arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace rapt::tasks {
namespace {

/// The texts of the shown elements and how they are arranged.
class Printer {
 public:
  Printer(const Tensor& array, const ArrayTextOptions& options)
      : shape_(array.shape()),
        edge_(array.shape().size() > options.most ? std::max<std::int64_t>(options.edge, 1) : 0),
        values_(array.to(DType::float64).to_vector<double>()) {
    const bool whole = array.dtype() == DType::int32, logical = array.dtype() == DType::boolean;
    text_of_ = [=, digits = std::max(options.digits, 1)](double value) {
      if (logical) return std::string(value != 0 ? "true" : "false");
      return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.{}g}", value, digits);
    };
    each(0, 0, [&](double value) { width_ = std::max(width_, text_of_(value).size()); });
  }

  std::string text() const { return block(0, 0); }

 private:
  std::int64_t rank() const { return static_cast<std::int64_t>(shape_.rank()); }
  std::int64_t size(std::int64_t axis) const { return shape_[static_cast<int>(axis)]; }

  /// Calls use(i) for the shown indices of an axis, and use(-1) where some are left out.
  template <class Use>
  void indices(std::int64_t axis, const Use& use) const {
    const std::int64_t n = size(axis);
    const bool shortened = edge_ > 0 && n > 2 * edge_ + 1;
    for (std::int64_t i = 0; i < n; ++i) {
      if (shortened && i == edge_) {
        use(-1);
        i = n - edge_;
      }
      use(i);
    }
  }

  template <class Use>
  void each(std::int64_t axis, std::int64_t at, const Use& use) const {
    if (axis == rank()) {
      use(values_[static_cast<std::size_t>(at)]);
      return;
    }
    indices(axis, [&](std::int64_t i) {
      if (i >= 0) each(axis + 1, at * size(axis) + i, use);
    });
  }

  /// Returns the part of the array whose first indices give the position `at`.
  std::string block(std::int64_t axis, std::int64_t at) const {
    if (axis == rank()) {
      return fmt::format("{:>{}}", text_of_(values_[static_cast<std::size_t>(at)]),
                         axis == 0 ? 0 : width_);
    }
    const bool row = axis + 1 == rank();
    // Blocks of more axes have an empty line between them.
    const std::string indent(static_cast<std::size_t>(axis + 1), ' '),
        between =
            row ? " " : std::string(static_cast<std::size_t>(rank() - axis - 1), '\n') + indent;
    std::string text = "[";
    indices(axis, [&](std::int64_t i) {
      if (text.size() > 1) text += between;
      text += i < 0 ? "..." : block(axis + 1, at * size(axis) + i);
    });
    return text + "]";
  }

  Shape shape_;
  std::int64_t edge_;  // 0: all elements are shown
  std::vector<double> values_;
  std::function<std::string(double)> text_of_;
  std::size_t width_ = 0;
};

}  // namespace

std::string array_text(const Tensor& array, const ArrayTextOptions& options) {
  return fmt::format("{} {} {}", Printer(array, options).text(), name(array.dtype()),
                     to_string(array.shape()));
}

}  // namespace rapt::tasks
