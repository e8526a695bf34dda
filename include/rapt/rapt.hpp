// Includes all of rapt.
#pragma once

#include <rapt/framework.hpp>
#include <rapt/models.hpp>
#include <rapt/ops.hpp>
#include <rapt/optim.hpp>
