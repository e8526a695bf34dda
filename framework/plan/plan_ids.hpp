// The types of the numbers in a plan.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/ids.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

enum class PlanNode : uint32_t { none = ~0u };   ///< a node, with its own number in the excerpt
enum class PlanValue : uint32_t { none = ~0u };  ///< a value, with its own number in the excerpt
enum class StepId : uint32_t { none = ~0u };     ///< a step; steps are numbered as they run
enum class ViewId : uint32_t { none = ~0u };     ///< a view: an array of a step
enum class TaskId : uint32_t { none = ~0u };     ///< a task

}  // namespace v0
}  // namespace rapt
