#pragma once

#include "engine/base/log.h"

namespace panal::broker {

/// The parent's log: written at once and without a thread, because the parent forks.
class ParentLog final : public Logger {
 public:
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) override;
};

}  // namespace panal::broker
