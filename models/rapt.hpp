// All of rapt in one include.
#pragma once

#include <rapt/framework/executor.hpp>
#include <rapt/framework/op.hpp>
#include <rapt/framework/parameter.hpp>
#include <rapt/framework/random.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/check_gradient.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/grad.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>
