#include "runtime/agent/guard_bytes.h"

asm(R"(
.section .rodata
panal_guard_begin:
.incbin ")" PANAL_RESUME_GUARD R"("
panal_guard_end:
.previous
)");

extern "C" const char panal_guard_begin[], panal_guard_end[];

namespace panal::agent {

std::string_view resume_guard() {
  return {panal_guard_begin, static_cast<std::size_t>(panal_guard_end - panal_guard_begin)};
}

}  // namespace panal::agent
