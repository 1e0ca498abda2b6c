#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::broker {

/// PEM text.
struct Certificate {
  std::string certificate;
  std::string key;
};

/// A new self-signed certificate for ten years: RSA 3072 and SHA-256 (QVD's clients complain about
/// RSA of 1024 bits and about SHA-1), names and addresses as subjectAltName. Errors: EIO.
[[nodiscard]] Result<Certificate> make_self_signed(const std::string& host_name,
                                                   const std::vector<std::string>& addresses);

/// Reads both files; where `make` is set and neither is there, makes them (key 0600, certificate
/// 0644, directory 0755, written aside and renamed). Errors: those of open(2); EEXIST when just one
/// is there.
[[nodiscard]] Result<Certificate> load_certificate(const std::string& certificate_file,
                                                   const std::string& key_file, bool make);

/// The addresses of this machine's interfaces, loopback included, link-local ones not.
[[nodiscard]] std::vector<std::string> local_addresses();

}  // namespace panal::broker
