// Optimizers, clipping, learning rates and averages of parameters.
#pragma once

#include "optim/clip.hpp"
#include "optim/ema.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
