#pragma once

#include <string>
#include <string_view>

#include "storage/recipe/mmdebstrap.h"

namespace panal::storage {

/// Takes the archive URLs the host uses for `suite` out of one sources.list(5) file, in either of
/// its formats, and puts them in `sources`. Only http:// ones: the image has no certificates while
/// it is made, and packages are signed. Lines that are not understood are left out.
void take_sources(std::string_view text, const std::string& suite, mmdebstrap::Sources& sources);

/// The proxy apt is told of in one apt.conf(5) file (`Acquire::http::Proxy "...";`), or empty.
[[nodiscard]] std::string find_proxy(std::string_view text);

/// Mirrors and proxy as the host's apt has them below `etc_apt`; Debian's own where it says
/// nothing.
[[nodiscard]] mmdebstrap::Sources host_sources(const std::string& suite,
                                               const std::string& etc_apt = "/etc/apt");

}  // namespace panal::storage
