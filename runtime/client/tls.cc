#include "runtime/client/tls.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

#include "engine/base/unique_fd.h"

namespace panal::client {
namespace {

using Clock = std::chrono::steady_clock;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

std::string tls_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "the connection was closed" : text;
}

/// How long a connection may take, and what else ends it.
struct Patience {
  Clock::time_point deadline;
  int stop_fd;
};

Result<bool> wait_for(int fd, short events, const Patience& patience) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(patience.deadline - Clock::now())
            .count();
    pollfd entries[] = {{fd, events, 0}, {patience.stop_fd, POLLIN, 0}};
    const int ready = ::poll(entries, 2, static_cast<int>(std::max<long>(left, 0)));
    if (ready > 0 && entries[1].revents != 0) return fail(ECANCELED, "wait for the server");
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return fail_errno("poll");
  }
}

Result<UniqueFd> connect_one(const addrinfo& address, const Patience& patience) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return fail_errno("connect");
    PANAL_ASSIGN(const bool ready, wait_for(fd.get(), POLLOUT, patience));
    if (!ready) return fail(ETIMEDOUT, "connect");
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(error, "connect");
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A server that vanished without a word is noticed although we may have nothing to send.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return fd;
}

Result<UniqueFd> connect_tcp(const std::string& host, std::uint16_t port,
                             const Patience& patience) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  if (code != 0)
    return fail(0, "cannot find the server " + host + ": " +
                       static_cast<const char*>(::gai_strerror(code)));
  const std::unique_ptr<addrinfo, Free> list(raw);
  Result<UniqueFd> last = fail(ENOENT, "no address");
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    last = connect_one(*entry, patience);
    if (last || last.error().code == ECANCELED) return last;
  }
  last.error().context = "cannot reach " + host + ":" + std::to_string(port);
  return last;
}

class Connection final : public TlsConnection {
 public:
  Connection(UniqueFd fd, std::unique_ptr<SSL_CTX, Free> context, std::unique_ptr<SSL, Free> ssl)
      : fd_(std::move(fd)), context_(std::move(context)), ssl_(std::move(ssl)) {}

  Result<void> handshake(const std::string& where, const Patience& patience) {
    for (;;) {
      ERR_clear_error();
      const int done = SSL_connect(ssl_.get());
      if (done == 1) return {};
      const int wanted = SSL_get_error(ssl_.get(), done);
      if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) {
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE && verdict != X509_V_OK)
          return fail(EACCES, where + " is not vouched for by the CA file: " +
                                  X509_verify_cert_error_string(verdict));
        return fail(EPROTO, where + " does not answer as a TLS server (" + tls_reason() + ")");
      }
      PANAL_ASSIGN(const bool ready,
                   wait_for(fd_.get(), wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, patience));
      if (!ready) return fail(ETIMEDOUT, "TLS handshake with " + where);
    }
  }

  std::string fingerprint() const override {
    const std::unique_ptr<X509, Free> certificate(SSL_get1_peer_certificate(ssl_.get()));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return {};
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    for (unsigned int i = 0; i < size; ++i) {
      out += kHex[digest[i] >> 4U];
      out += kHex[digest[i] & 15U];
    }
    return out;
  }

  int fd() const override { return fd_.get(); }
  bool has_pending() const override { return SSL_pending(ssl_.get()) > 0; }

  Result<Transfer> read(std::span<char> into) override {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
    return outcome(done, got, "read from the server");
  }

  Result<Transfer> write(std::span<const char> from) override {
    ERR_clear_error();
    std::size_t put = 0;
    const int done = SSL_write_ex(ssl_.get(), from.data(), from.size(), &put);
    return outcome(done, put, "write to the server");
  }

  void shut_down() noexcept override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }

 private:
  Result<Transfer> outcome(int done, std::size_t bytes, const char* what) {
    if (done == 1) return Transfer{Io::kDone, bytes};
    const int saved = errno;
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ: return Transfer{Io::kWantRead, 0};
      case SSL_ERROR_WANT_WRITE: return Transfer{Io::kWantWrite, 0};
      case SSL_ERROR_ZERO_RETURN: return Transfer{Io::kClosed, 0};
      case SSL_ERROR_SYSCALL: return fail(saved != 0 ? saved : ECONNRESET, what);
      default: return fail(EPROTO, std::string(what) + " (" + tls_reason() + ")");
    }
  }

  UniqueFd fd_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace

Result<std::unique_ptr<TlsConnection>> TlsConnection::connect(const std::string& host,
                                                              std::uint16_t port,
                                                              const TlsOptions& options) {
  const Patience patience{Clock::now() + options.timeout, options.stop_fd};
  PANAL_ASSIGN(UniqueFd fd, connect_tcp(host, port, patience));
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(ENOMEM, "set up TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // The buffer may have moved between two tries of the same write.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!options.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr) != 1) {
      ERR_clear_error();
      return fail(EINVAL, "the CA file " + options.ca_file + " has no certificate in it");
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) return fail(ENOMEM, "set up TLS");
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  if (!options.ca_file.empty()) {
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) != 1)
      X509_VERIFY_PARAM_set1_host(rules, host.c_str(), 0);
    ERR_clear_error();
  }
  auto connection = std::make_unique<Connection>(std::move(fd), std::move(context), std::move(ssl));
  PANAL_TRY(connection->handshake(host + ":" + std::to_string(port), patience));
  return connection;
}

}  // namespace panal::client
