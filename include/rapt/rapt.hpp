// All of rapt in one include.
#pragma once

#include <rapt/framework.hpp>
#include <rapt/models.hpp>
#include <rapt/ops.hpp>
#include <rapt/optim.hpp>
