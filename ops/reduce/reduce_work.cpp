#include "ops/reduce/reduce_work.hpp"

#include <algorithm>
#include <utility>

#include "ops/support/axes.hpp"

namespace rapt::internal {
namespace {

using kernels::ReduceShape;
using kernels::Reduction;

/// Adjacent axes that can be traversed as one.
struct Group {
  int64_t size, stride;
  bool reduced;
};

class Groups {
 public:
  /// Sorts the axes by stride if that keeps the order of the output.
  Groups(const TensorView& x, const std::array<bool, max_rank>& reduced) {
    for (int i = 0; i < x.shape.rank(); ++i) {
      const auto k = static_cast<size_t>(i);
      if (x.shape[i] != 1) groups_[count_++] = {x.shape[i], x.strides[k], reduced[k]};
    }
    Groups sorted = *this;
    // Insertion sort, because std::stable_sort would allocate memory.
    for (int i = 1; i < sorted.count_; ++i) {
      for (int k = i; k > 0 && sorted.groups_[k - 1].stride < sorted.groups_[k].stride; --k) {
        std::swap(sorted.groups_[k - 1], sorted.groups_[k]);
      }
    }
    if (sorted.keeps_order_of(*this)) *this = sorted;
    merge();
    if (reductions() == 0) groups_[count_++] = {1, 1, true};
  }

  int reductions() const {
    int n = 0;
    for (int i = 0; i < count_; ++i) n += groups_[i].reduced ? 1 : 0;
    return n;
  }

  /// Removes the last reduction and returns it in `shape`. Returns false if no kernel supports the
  /// strides.
  bool take(ReduceShape& shape) {
    const bool row = back(0).reduced;
    const Group inner = row ? Group{1, 1, false} : back(0);
    const Group n = row ? back(0) : back(1);
    const int outer_groups = count_ - (row ? 1 : 2);
    if (!n.reduced || inner.stride != 1) return false;
    if (row && n.size > 1 && n.stride != 1) return false;
    int64_t outer = 1;
    for (int i = outer_groups - 1; i >= 0; --i) {
      const Group& group = groups_[i];
      if (i + 1 < outer_groups) {
        const Group& next = groups_[i + 1];
        if (group.stride != next.size * next.stride) return false;
      }
      outer *= group.size;
    }
    const int64_t outer_stride = outer_groups == 0 ? 0 : groups_[outer_groups - 1].stride;
    shape = {outer, n.size, inner.size, outer_stride, row ? 1 : n.stride};
    // The result of this call is contiguous.
    count_ = outer_groups;
    if (!row) groups_[count_++] = inner;
    int64_t stride = 1;
    for (int i = count_ - 1; i >= 0; --i) {
      groups_[i].stride = stride;
      stride *= groups_[i].size;
    }
    merge();
    return true;
  }

 private:
  const Group& back(int i) const { return groups_[count_ - 1 - i]; }

  /// True if the groups that are not reduced come in the same order.
  bool keeps_order_of(const Groups& other) const {
    int j = 0;
    for (int i = 0; i < count_; ++i) {
      const Group& group = groups_[i];
      if (group.reduced) continue;
      while (other.groups_[j].reduced) ++j;
      const Group& expected = other.groups_[j++];
      if (group.size != expected.size || group.stride != expected.stride) return false;
    }
    return true;
  }

  void merge() {
    int kept = 0;
    for (int i = 1; i < count_; ++i) {
      Group& last = groups_[kept];
      const Group next = groups_[i];
      if (last.reduced == next.reduced && last.stride == next.size * next.stride) {
        last = {last.size * next.size, next.stride, last.reduced};
      } else {
        groups_[++kept] = next;
      }
    }
    count_ = std::min(count_, kept + 1);
  }

  Group groups_[max_rank + 1] = {};
  int count_ = 0;
};

}  // namespace

ReduceWork::ReduceWork(const TensorView& x, int64_t results, std::span<const int64_t> axes,
                       Reduction reduction) {
  if (x.size() == 0) {
    add(reduction, {results, 0, 1, 0, 1});
  } else if (!plan(x, axes, reduction) || (reduction == Reduction::logsumexp && count > 1)) {
    copied = true;
    count = 0;
    plan({nullptr, x.dtype, x.shape, contiguous_strides(x.shape)}, axes, reduction);
  }
}

void ReduceWork::add(Reduction reduction, const ReduceShape& shape) {
  plans[static_cast<size_t>(count++)] =
      kernels::kernels<kernels::ReduceKernels>().plan(reduction, shape);
}

bool ReduceWork::plan(const TensorView& x, std::span<const int64_t> axes, Reduction reduction) {
  Groups groups(x, marked_axes(axes, x.shape.rank()));
  while (groups.reductions() > 0) {
    ReduceShape shape{};
    if (!groups.take(shape)) return false;
    add(reduction, shape);
  }
  return true;
}

}  // namespace rapt::internal
