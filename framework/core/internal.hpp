// Namespace rapt::internal holds what no public header declares. The sources of the library use
// these names without a prefix.
#pragma once

namespace rapt::internal {}

namespace rapt {
using namespace internal;
}
