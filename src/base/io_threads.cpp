#include "base/io_threads.h"

#include <string>

#include "base/thread.h"

namespace sharedlock {

IoThreads::IoThreads(std::size_t count) {
  try {
    for (std::size_t i = 0; i < count; ++i) start_one(i);
  } catch (...) {
    stop();
    throw;
  }
}

void IoThreads::start_one(std::size_t index) {
  auto& io = *threads_.emplace_back(std::make_unique<IoThread>());
  io.thread = std::thread([&io, index] {
    const NamedThread named(("io-" + std::to_string(index)).c_str());
    io.context.run();
  });
}

IoThreads::~IoThreads() {
  stop();
}

void IoThreads::stop() {
  for (auto& io : threads_) io->work.reset();
  for (auto& io : threads_) io->context.stop();
  for (auto& io : threads_) {
    if (io->thread.joinable()) io->thread.join();
  }
}

}  // namespace sharedlock
