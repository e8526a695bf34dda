// The settings of a tape for training.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Marks a tape as being for training: dropout is active and draws from this key. A training loop
/// gives each step its own key: Training{key.fold(step)}.
struct Training {
  Key key;  ///< all random operators on the tape derive their keys from it
};

}  // namespace v0
}  // namespace rapt
