#include "runtime/broker/tls_stream.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

namespace panal::broker {
namespace {

struct FreeCtx {
  void operator()(SSL_CTX* ctx) const { SSL_CTX_free(ctx); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeX509 {
  void operator()(X509* x509) const { X509_free(x509); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using CtxPtr = std::unique_ptr<SSL_CTX, FreeCtx>;
using SslPtr = std::unique_ptr<SSL, FreeSsl>;
using BioPtr = std::unique_ptr<BIO, FreeBio>;
using X509Ptr = std::unique_ptr<X509, FreeX509>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;

Failure tls_failure(const std::string& what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return fail(EPROTO, reason == nullptr ? what : what + ": " + reason);
}

/// No passphrase prompt on a daemon's terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

class TlsStream final : public Stream {
 public:
  TlsStream(loop::Loop& loop, UniqueFd fd, SslPtr ssl)
      : descriptor_(loop, std::move(fd)), ssl_(std::move(ssl)) {}

  IoResult read(char* data, std::size_t size) override {
    if (!alive()) return {};
    ERR_clear_error();
    std::size_t got = 0;
    const int code = SSL_read_ex(ssl_.get(), data, size, &got);
    if (code == 1) return {IoState::kDone, got};
    return after(code);
  }

  IoResult write(const char* data, std::size_t size) override {
    if (!alive()) return {};
    ERR_clear_error();
    std::size_t put = 0;
    const int code = SSL_write_ex(ssl_.get(), data, size, &put);
    if (code == 1) return {IoState::kDone, put};
    return after(code);
  }

  IoResult shutdown_write() override {
    if (!alive()) return {};
    ERR_clear_error();
    const int code = SSL_shutdown(ssl_.get());
    // 0: our close_notify is out, the peer's is still to come: that is the half-close.
    if (code >= 0) {
      ::shutdown(descriptor_.fd(), SHUT_WR);
      return {IoState::kDone, 0};
    }
    return after(code);
  }

  void wait(IoState want, std::function<void()> work) override {
    descriptor_.wait(want == IoState::kWantRead ? loop::Ready::kReadable : loop::Ready::kWritable,
                     std::move(work));
  }

  void close() override {
    // A polite end where the buffer has room; nobody waits for it.
    if (alive() && SSL_is_init_finished(ssl_.get()) != 0 &&
        (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
    }
    failed_ = true;
    descriptor_.close();
  }

 private:
  /// After a fatal error OpenSSL forbids any further call on the connection.
  [[nodiscard]] bool alive() const { return !failed_ && descriptor_.fd() >= 0; }

  IoResult after(int code) {
    switch (SSL_get_error(ssl_.get(), code)) {
      case SSL_ERROR_WANT_READ: return {IoState::kWantRead, 0};
      case SSL_ERROR_WANT_WRITE: return {IoState::kWantWrite, 0};
      case SSL_ERROR_ZERO_RETURN: return {IoState::kEnd, 0};
      default: break;
    }
    ERR_clear_error();
    failed_ = true;
    return {IoState::kFailed, 0};
  }

  loop::Descriptor descriptor_;
  SslPtr ssl_;  // declared after the descriptor: it goes first
  bool failed_ = false;
};

class Context final : public TlsContext {
 public:
  explicit Context(CtxPtr ctx) : ctx_(std::move(ctx)) {}

  Result<std::unique_ptr<Stream>> accept(loop::Loop& loop, UniqueFd fd) override {
    SslPtr ssl(SSL_new(ctx_.get()));  // counts a reference on the context
    if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) return tls_failure("start TLS");
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsStream>(loop, std::move(fd), std::move(ssl));
  }

 private:
  CtxPtr ctx_;
};

BioPtr text_bio(const std::string& text) {
  const std::size_t size = std::min(text.size(), std::size_t{INT_MAX});
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(size)));
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::create(const std::string& certificate,
                                                       const std::string& key) {
  CtxPtr ctx(SSL_CTX_new(TLS_server_method()));
  if (!ctx) return tls_failure("start TLS");
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
  // A client that goes away without a goodbye is an end like any other: NX has its own framing.
  SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions live in tickets at the client: every worker has a key of its own, so a ticket that
  // meets another worker means one full handshake, never a failure.
  SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx.get(), 1);

  const BioPtr chain = text_bio(certificate);
  const X509Ptr leaf(PEM_read_bio_X509(chain.get(), nullptr, no_passphrase, nullptr));
  if (!leaf) return tls_failure("the TLS certificate is not PEM");
  if (SSL_CTX_use_certificate(ctx.get(), leaf.get()) != 1) {
    return tls_failure("the TLS certificate cannot be used");
  }
  while (X509* issuer = PEM_read_bio_X509(chain.get(), nullptr, no_passphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(ctx.get(), issuer) != 1) {
      X509_free(issuer);
      return tls_failure("the TLS certificate's chain cannot be used");
    }
  }
  ERR_clear_error();
  const BioPtr key_text = text_bio(key);
  const KeyPtr private_key(
      PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr));
  if (!private_key) return tls_failure("the TLS key is not PEM without a passphrase");
  if (SSL_CTX_use_PrivateKey(ctx.get(), private_key.get()) != 1 ||
      SSL_CTX_check_private_key(ctx.get()) != 1) {
    return tls_failure("the TLS key does not belong to the certificate");
  }
  return std::make_shared<Context>(std::move(ctx));
}

}  // namespace panal::broker
