#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>

#include <memory>
#include <utility>

#include "store/etcd/rpc/connections_grpc.h"

namespace sharedlock {

// One bidirectional message stream. One coroutine may read it while another writes; all must be on one executor, and
// have ended before it is destroyed.
template <class Request, class Response>
class EtcdStream {
 public:
  using Call = grpc::ClientAsyncReaderWriter<Request, Response>;

  explicit EtcdStream(EtcdConnections& connections) : completions_(connections.completions()) {
    connections.prepare_stream(context);
  }

  // All but finish() return false when the stream is over.
  Task<bool> start(std::unique_ptr<Call> call) {
    call_ = std::move(call);
    auto begin = [this](void* tag) { call_->StartCall(tag); };
    co_return co_await completions_.completed(begin);
  }
  Task<bool> read(Response* response) {
    auto begin = [this, response](void* tag) { call_->Read(response, tag); };
    co_return co_await completions_.completed(begin);
  }
  Task<bool> write(Request request) {
    auto begin = [this, &request](void* tag) { call_->Write(request, tag); };
    co_return co_await completions_.completed(begin);
  }

  // Why it is over; once, after everything else has ended.
  Task<EtcdFailure> finish() {
    grpc::Status status;
    auto begin = [this, &status](void* tag) { call_->Finish(&status, tag); };
    co_await completions_.completed(begin);
    co_return EtcdFailure{status.error_code(), status.error_message()};
  }

  // Ends it soon: every pending operation returns false.
  void cancel() { context.TryCancel(); }

  grpc::ClientContext context;

 private:
  EtcdCompletions& completions_;
  std::unique_ptr<Call> call_;
};

}  // namespace sharedlock
