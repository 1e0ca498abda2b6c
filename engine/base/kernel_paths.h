#pragma once

/// The one place that spells kernel paths; a test forbids such literals anywhere else.
namespace panal::kernel_paths {

inline constexpr const char* kProc = "/proc";
inline constexpr const char* kProcSelfExe = "/proc/self/exe";
inline constexpr const char* kProcSelfFd = "/proc/self/fd";
inline constexpr const char* kProcSelfFdinfo = "/proc/self/fdinfo";
inline constexpr const char* kProcSelfNs = "/proc/self/ns";
inline constexpr const char* kProcSelfMountinfo = "/proc/self/mountinfo";
inline constexpr const char* kProcThreadSelfNsNet = "/proc/thread-self/ns/net";
inline constexpr const char* kSys = "/sys";
inline constexpr const char* kSysFsCgroup = "/sys/fs/cgroup";
inline constexpr const char* kDev = "/dev";
inline constexpr const char* kDevNull = "/dev/null";
inline constexpr const char* kDevShm = "/dev/shm";
inline constexpr const char* kDevPts = "/dev/pts";

}  // namespace panal::kernel_paths
