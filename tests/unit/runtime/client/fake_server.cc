#include "tests/unit/runtime/client/fake_server.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <stdexcept>

namespace panal::client::testing {
namespace {

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

X509* make_certificate(EVP_PKEY* key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  const unsigned char text[] = "localhost";
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  must(X509_sign(certificate, key, EVP_sha256()) > 0, "sign");
  return certificate;
}

}  // namespace

std::string FakeConnection::read_head() {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    char c = 0;
    if (SSL_read(ssl_, &c, 1) != 1) return {};
    head += c;
  }
  return head;
}

std::string FakeConnection::read_some() {
  std::string bytes(65536, '\0');
  const int got = SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

void FakeConnection::write(const std::string& bytes) {
  (void)SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
}

void FakeConnection::answer(int status, const std::string& reason, const std::string& body) {
  write("HTTP/1.1 " + std::to_string(status) + " " + reason +
        "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body);
}

void FakeConnection::say_goodbye() { SSL_shutdown(ssl_); }

FakeServer::FakeServer(std::vector<Script> scripts) {
  context_ = SSL_CTX_new(TLS_server_method());
  EVP_PKEY* key = EVP_EC_gen("P-256");
  must(context_ != nullptr && key != nullptr, "TLS");
  X509* certificate = make_certificate(key);
  SSL_CTX_use_certificate(context_, certificate);
  SSL_CTX_use_PrivateKey(context_, key);
  BIO* text = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(text, certificate);
  char* data = nullptr;
  const long length = BIO_get_mem_data(text, &data);
  pem_.assign(data, static_cast<std::size_t>(length));
  BIO_free(text);
  X509_free(certificate);
  EVP_PKEY_free(key);

  listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  must(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
           listen(listener_.get(), 8) == 0 &&
           getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0,
       "listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, scripts = std::move(scripts)] { serve(scripts); });
}

void FakeServer::serve(const std::vector<Script>& scripts) {
  for (const auto& script : scripts) {
    const UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    SSL* ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd.get());
    if (SSL_accept(ssl) == 1) {
      FakeConnection connection(ssl);
      script(connection);
    }
    SSL_free(ssl);
  }
}

FakeServer::~FakeServer() {
  shutdown(listener_.get(), SHUT_RDWR);  // wakes accept
  thread_.join();
  SSL_CTX_free(context_);
}

}  // namespace panal::client::testing
