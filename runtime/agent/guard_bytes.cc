#include "runtime/agent/guard_bytes.h"

asm(R"(
.section .rodata
panal_resume_guard_begin:
.incbin ")" PANAL_RESUME_GUARD R"("
panal_resume_guard_end:
panal_session_guard_begin:
.incbin ")" PANAL_SESSION_GUARD R"("
panal_session_guard_end:
.previous
)");

extern "C" const char panal_resume_guard_begin[], panal_resume_guard_end[];
extern "C" const char panal_session_guard_begin[], panal_session_guard_end[];

namespace panal::agent {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

std::string_view resume_guard() {
  return between(panal_resume_guard_begin, panal_resume_guard_end);
}

std::string_view session_guard() {
  return between(panal_session_guard_begin, panal_session_guard_end);
}

}  // namespace panal::agent
