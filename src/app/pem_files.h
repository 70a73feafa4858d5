#pragma once

#include <string>

#include "base/result.h"

namespace sharedlock {

// A file, and the setting that named it, as the user wrote it: for messages.
struct PemFile {
  std::string setting;
  std::string path;
};

struct PemIdentity {
  std::string certificate;  // the text of the file: ours first, then those that lead to an authority
  std::string key;
};

// Read PEM files for TLS and check them with OpenSSL, since a bad one would give no error later: the connection would
// just never be made. invalid_argument, with a sentence that names setting, file and fault: missing or unreadable, not
// a plain file, not PEM, expired or not yet valid, a key that is encrypted or belongs to another certificate.
Result<std::string> read_authorities(const PemFile& file);
Result<PemIdentity> read_identity(const PemFile& certificate, const PemFile& key);

}  // namespace sharedlock
