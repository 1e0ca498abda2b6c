#pragma once

#include <string_view>
#include <vector>

namespace panal::store {

/// One numbered step of the schema, compiled in from migrations/NNNN_name.sql.
struct Migration {
  int number;
  std::string_view name;  ///< "0001_initial"
  const char* sql;
};

/// All of them, ascending without gaps from 1 (a unit test checks).
[[nodiscard]] const std::vector<Migration>& migrations();

}  // namespace panal::store
