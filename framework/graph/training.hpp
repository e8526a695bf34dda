// What a tape for training needs.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"

namespace rapt RAPT_API {

/// That a tape is for training: dropout is at work, and draws from this key. A loop gives every
/// step a key of its own: Training{key.fold(step)}.
struct Training {
  Key key;
};

}  // namespace rapt
