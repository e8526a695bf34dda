// Arrays, tapes, parameters, executors, checkpoints, and the interface for custom operators.
#pragma once

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/files/average.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/files/checkpoint_folder.hpp"
#include "framework/graph/op.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/scope.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
