#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace sharedlock::test {

struct PemPair {
  std::string certificate;  // PEM text
  std::string key;          // PEM text, PKCS #8
};

struct CertificateRequest {
  std::string name;                                      // the common name
  std::vector<std::string> addresses = {};               // IP addresses that a server may be reached by
  std::chrono::seconds ends_in = std::chrono::hours(1);  // from now; negative: it has expired
};

// A certificate authority made for one test: EC P-256, no files. Failures of OpenSSL throw std::runtime_error.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "test authority");
  ~TestAuthority();

  const std::string& certificate() const;  // PEM text

  // Signed by this authority, good for servers and clients.
  PemPair issue(const CertificateRequest& request) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sharedlock::test
