#pragma once

namespace panal::storage::fetch {

/// panal-fetch: fetches over HTTP(S) for a puller, whose requests come over the socket (see
/// storage/transfer/fetch_messages.h), until that is closed. It gives up root's rights before it
/// says a byte to the network. Returns the exit code.
[[nodiscard]] int run_fetch_program(int socket);

}  // namespace panal::storage::fetch
