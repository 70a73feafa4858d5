#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

#include "support/etcd_server.h"
#include "support/temporary_directory.h"
#include "support/test_certificates.h"

namespace sharedlock::test {

// The PEM files of an etcd with TLS at EtcdServer::address() and of its clients, in a directory of their own.
class EtcdTlsFiles {
 public:
  // Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::string path = (directory_ / name).string();
    std::ofstream file(path, std::ios::binary);
    if (!(file << text).flush()) throw std::runtime_error("can't write " + path);
    return path;
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  const TestAuthority& authority() const { return authority_; }
  const std::string& ca() const { return ca_; }
  const std::string& client_certificate() const { return client_certificate_; }
  const std::string& client_key() const { return client_key_; }

  EtcdServerTls server() const {
    return {.ca = ca_,
            .certificate = server_certificate_,
            .key = server_key_,
            .client_certificate = client_certificate_,
            .client_key = client_key_};
  }

 private:
  TemporaryDirectory directory_;
  TestAuthority authority_;
  PemPair server_pair_ = authority_.issue({.name = "etcd", .addresses = {EtcdServer::address(), "127.0.0.1"}});
  PemPair client_pair_ = authority_.issue({.name = "client"});
  std::string ca_ = write("ca.crt", authority_.certificate());
  std::string server_certificate_ = write("server.crt", server_pair_.certificate);
  std::string server_key_ = write("server.key", server_pair_.key);
  std::string client_certificate_ = write("client.crt", client_pair_.certificate);
  std::string client_key_ = write("client.key", client_pair_.key);
};

}  // namespace sharedlock::test
