#include "app/pem_files.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

namespace sharedlock {

namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Error fault(const PemFile& file, const std::string& what) {
  return {Errc::invalid_argument, file.setting + ": " + file.path + " " + what};
}

Error unreadable(const PemFile& file) {
  return fault(file, "can't be read: " + std::generic_category().message(errno));
}

Result<std::string> read_all(const PemFile& file, int descriptor) {
  std::string text;
  char part[4096];
  ssize_t got = 0;
  while ((got = ::read(descriptor, part, sizeof part)) > 0) {
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > kLargest) return fault(file, "is no PEM file: it is too large");
  }
  if (got < 0) return unreadable(file);
  return text;
}

Result<std::string> read_text(const PemFile& file) {
  // Without O_NONBLOCK opening a pipe waits for a writer.
  int descriptor = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return unreadable(file);
  struct stat facts{};
  bool plain = ::fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode);
  auto text = plain ? read_all(file, descriptor) : fault(file, "is not a plain file");
  ::close(descriptor);
  return text;
}

std::unique_ptr<BIO, Free> reading(const std::string& text) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// All of them; none when there is none, or a damaged one.
std::vector<Certificate> certificates_in(const std::string& text) {
  std::vector<Certificate> all;
  auto bio = reading(text);
  ERR_clear_error();
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) all.push_back(std::move(next));
  bool at_the_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_the_end) all.clear();
  return all;
}

Key key_in(const std::string& text) {
  auto bio = reading(text);
  // Otherwise OpenSSL asks for a pass phrase on the terminal.
  auto no_pass_phrase = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr));
  ERR_clear_error();
  return key;
}

std::string date_text(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%FT%TZ", &parts)};
}

// What is wrong with its period of validity; "" when nothing is.
std::string wrong_time(const X509* certificate) {
  const ASN1_TIME* from = X509_get0_notBefore(certificate);
  const ASN1_TIME* to = X509_get0_notAfter(certificate);
  if (X509_cmp_current_time(to) < 0) return "expired at " + date_text(to);
  if (X509_cmp_current_time(from) > 0) return "is not good before " + date_text(from);
  return "";
}

}  // namespace

Result<std::string> read_authorities(const PemFile& file) {
  auto text = read_text(file);
  if (!text) return text;
  auto all = certificates_in(*text);
  if (all.empty()) return fault(file, "holds no certificate in PEM format, or a damaged one");
  bool one_is_good = std::ranges::any_of(all, [](const Certificate& each) { return wrong_time(each.get()).empty(); });
  if (!one_is_good) return fault(file, wrong_time(all.front().get()));
  return text;
}

Result<PemIdentity> read_identity(const PemFile& certificate, const PemFile& key) {
  auto certificate_text = read_text(certificate);
  if (!certificate_text) return certificate_text.error();
  auto chain = certificates_in(*certificate_text);
  if (chain.empty()) return fault(certificate, "holds no certificate in PEM format, or a damaged one");
  std::string wrong = wrong_time(chain.front().get());
  if (!wrong.empty()) return fault(certificate, wrong);

  auto key_text = read_text(key);
  if (!key_text) return key_text.error();
  bool encrypted = key_text->find("ENCRYPTED") != std::string::npos;
  if (encrypted) return fault(key, "is encrypted with a pass phrase, which this server can't ask for");
  Key parsed = key_in(*key_text);
  if (!parsed) return fault(key, "holds no private key in PEM format, or a damaged one");
  bool fits = X509_check_private_key(chain.front().get(), parsed.get()) == 1;
  ERR_clear_error();
  if (!fits) return fault(key, "is not the key of the certificate in " + certificate.path);
  return PemIdentity{*std::move(certificate_text), *std::move(key_text)};
}

}  // namespace sharedlock
