#include "runtime/broker/certificate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "engine/base/unique_fd.h"
#include "runtime/broker/auth/password.h"

namespace panal::broker {
namespace {

constexpr int kRsaBits = 3072;
constexpr long kSecondsDay = 24L * 3600;
constexpr long kSeconds10Years = 10L * 365 * kSecondsDay;
constexpr std::size_t kMostFileBytes = std::size_t{1} << 20U;

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

bool add_extension(X509* x509, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
  return extension && X509_add_ext(x509, extension.get(), -1) == 1;
}

std::string take(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("read", path);
  std::string out;
  char part[8192];
  for (;;) {
    const ssize_t got = ::read(fd.get(), part, sizeof part);
    if (got < 0) return fail_errno("read", path);
    if (got == 0) return out;
    out.append(part, static_cast<std::size_t>(got));
    if (out.size() > kMostFileBytes) return fail(EFBIG, "read " + path);
  }
}

Result<void> write_file(const std::string& path, const std::string& text, mode_t mode) {
  const std::string aside = path + ".new";
  ::unlink(aside.c_str());
  const UniqueFd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail_errno("create", aside);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::write(fd.get(), text.data() + done, text.size() - done);
    if (put < 0) return fail_errno("write", aside);
    done += static_cast<std::size_t>(put);
  }
  if (::fsync(fd.get()) != 0) return fail_errno("sync", aside);
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("rename", aside);
  return {};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

std::vector<std::string> local_addresses() {
  std::vector<std::string> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
    }
    if (text[0] != '\0') out.emplace_back(text);
  }
  ::freeifaddrs(list);
  return out;
}

Result<Certificate> make_self_signed(const std::string& host_name,
                                     const std::vector<std::string>& addresses) {
  const KeyPtr key(EVP_RSA_gen(kRsaBits), EVP_PKEY_free);
  const X509Ptr x509(X509_new(), X509_free);
  if (!key || !x509) return fail(EIO, "make a TLS key");
  PANAL_ASSIGN(const std::string serial, auth::random_bytes(16));
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()),
                static_cast<int>(serial.size()), nullptr),
      BN_free);
  // RFC 5280 4.1.2.2: positive and at most 20 octets.
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509.get())) == nullptr) {
    return fail(EIO, "make a TLS certificate");
  }
  // A common name has at most 64 characters; the names that count are in subjectAltName.
  const std::string common = host_name.empty() ? "panal" : host_name.substr(0, 64);
  X509_NAME* name = X509_get_subject_name(x509.get());
  std::string names = "DNS:localhost";
  if (!host_name.empty() && host_name.find_first_of(",:\n") == std::string::npos) {
    names += ",DNS:" + host_name;
  }
  for (const auto& address : addresses) names += ",IP:" + address;
  // A day back: clients' clocks are not always right, and ours may be set back.
  const bool made =
      X509_set_version(x509.get(), 2) == 1 &&
      X509_gmtime_adj(X509_getm_notBefore(x509.get()), -kSecondsDay) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(x509.get()), kSeconds10Years) != nullptr &&
      X509_set_pubkey(x509.get(), key.get()) == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1,
                                 0) == 1 &&
      X509_set_issuer_name(x509.get(), name) == 1 &&
      add_extension(x509.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(x509.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
      add_extension(x509.get(), NID_ext_key_usage, "serverAuth") &&
      add_extension(x509.get(), NID_subject_alt_name, names) &&
      X509_sign(x509.get(), key.get(), EVP_sha256()) != 0;
  if (!made) return fail(EIO, "make a TLS certificate for " + names);
  const BioPtr certificate_text(BIO_new(BIO_s_mem()), BIO_free);
  const BioPtr key_text(BIO_new(BIO_s_mem()), BIO_free);
  if (PEM_write_bio_X509(certificate_text.get(), x509.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return fail(EIO, "write a TLS certificate as PEM");
  }
  return Certificate{take(certificate_text.get()), take(key_text.get())};
}

Result<Certificate> load_certificate(const std::string& certificate_file,
                                     const std::string& key_file, bool make) {
  if (make && !exists(key_file) && exists(certificate_file)) {
    return fail(EEXIST, "there is " + certificate_file + " but no " + key_file +
                            "; remove the first to have both made anew");
  }
  if (make && !exists(certificate_file)) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(key_file).parent_path(), ignored);
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    PANAL_ASSIGN(const Certificate made, make_self_signed(host, local_addresses()));
    // The key goes first: a crash in between leaves a key without a certificate, which is replaced.
    PANAL_TRY(write_file(key_file, made.key, 0600));
    PANAL_TRY(write_file(certificate_file, made.certificate, 0644));
  }
  Certificate out;
  PANAL_ASSIGN(out.certificate, read_file(certificate_file));
  PANAL_ASSIGN(out.key, read_file(key_file));
  return out;
}

}  // namespace panal::broker
