#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "storage/warm/page_ranges.h"

namespace panal::storage {

/// The kernel's page size, in bytes.
[[nodiscard]] std::uint64_t kernel_page_bytes();

/// Which pages of an open file are in the page cache. They are mapped for it, none is touched. The
/// caller owns the file or may write to it: of others' files the kernel says that all are there.
/// Errors: ENOMEM, EIO. Kernel: mincore(2), tells the page cache's state of files.
[[nodiscard]] Result<PageRanges> resident_pages(int fd, std::uint64_t size_bytes);

/// Whether any is: one cheap call where the kernel has it, so that a tree of 20,000 files of which
/// few are in use is looked at in no time. Kernel: cachestat(2), 6.5; without it by
/// resident_pages(). Errors: as there.
[[nodiscard]] Result<bool> any_page_resident(int fd, std::uint64_t size_bytes);

}  // namespace panal::storage
