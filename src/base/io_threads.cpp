#include "base/io_threads.h"

#include <pthread.h>

#include <string>

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
  io.thread = std::thread([&io] { io.context.run(); });
  ::pthread_setname_np(io.thread.native_handle(), ("io-" + std::to_string(index)).c_str());
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
