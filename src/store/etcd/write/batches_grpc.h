#pragma once

#include <etcd.pb.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/etcd/lease/lease_looks.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/rpc/nested_grpc.h"
#include "store/etcd/witness/loss_grpc.h"
#include "store/etcd/write/batch_plan.h"
#include "store/etcd/write/epoch.h"
#include "store/etcd/write/write_fate.h"
#include "store/lease_store.h"

// What EtcdBatchQueue sends to etcd. Each is compared with this server's witness, so that an etcd that forgot something
// neither does nor tells anything (R32). All thread-safe; everything passed in must outlive them.
namespace sharedlock {

// Reads, as one transaction of ranges: etcd would treat one with nested transactions as a change, which costs a write.
// Equal ranges are sent once: all requests for them were waiting when it was sent (R19).
class EtcdReads {
 public:
  struct Item {
    std::vector<etcdserverpb::RangeRequest> ranges;
  };
  struct Found {
    std::vector<etcdserverpb::RangeResponse> ranges;  // [i] for Item::ranges[i]; without headers
    Revision as_of;
    std::uint64_t term = 0;  // etcd's raft term
  };
  using Answer = Result<Found>;
  static constexpr std::size_t kFull = 64;
  class Plan {
   public:
    bool take(const Item& item);

   private:
    std::size_t items_ = 0;
    std::size_t ranges_ = 0;
  };

  EtcdReads(EtcdClient& client, EtcdWitness& witness, EtcdLoss& loss)
      : client_(client), witness_(witness), loss_(loss) {}

  static bool goes_alone(const Item&) { return false; }
  Task<Answer> send_alone(Item* item, Deadline deadline);
  Task<std::optional<std::vector<Answer>>> send(const std::vector<Item*>* items, Deadline deadline);
  Answer late(const Item&, bool) const { return client_.unreachable(); }
  static std::string_view look(const Item&) { return {}; }
  static std::optional<Answer> share(const Answer&) { return std::nullopt; }

  // LeaseStore::list(): alone, since it may be large.
  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline deadline);

 private:
  // Sends all ranges in one transaction; their answers come first in the response. It reads the witness too, so that
  // this server notices if etcd later forgets what was read here.
  Task<EtcdAnswer<etcdserverpb::TxnResponse>> read(etcdserverpb::TxnRequest ranges, Deadline deadline);

  EtcdClient& client_;
  EtcdWitness& witness_;
  EtcdLoss& loss_;
};

// Changes, each as a transaction nested in one for its batch. Each gets the answer that it would get alone, except that
// the answer may show what others in the batch have done (R16). The outer transaction is compared with this server's
// epoch, which ends when a request had no answer: so that request can't be carried out later, when the lock that it
// takes has long been released. With each goes a question about every lease on which it rests (R34); the answer does
// not wait for that.
class EtcdWrites {
 public:
  struct Item {
    // `transaction` must live until the call has ended; nothing reads it afterwards.
    Item(const Transaction& of, EncodedTxn as);

    const Transaction* transaction;
    EncodedTxn request;
    bool puts;
    WitnessedPromise promises;
    bool looks;  // and changes nothing
    bool repeatable;
    bool large;
    // Leases older than the request on which its answer rests: etcd is asked about them, see TxnAnswer::looks.
    std::vector<LeaseId> rests_on = {};
    std::string looks_for = {};              // equal if items may share an answer; empty: their comparisons decide
    std::shared_ptr<const void> trace = {};  // released once nothing tries it any more
    WriteFate fate = WriteFate::not_sent;    // the result of its tries, as of the end of the last
  };
  struct Answer {
    Result<TxnAnswer> result;
    WriteFate fate;  // of all tries; if one is unknown, it may itself have caused a refusal
  };
  static constexpr std::size_t kFull = EtcdBatchPlan::kMostTransactions;
  class Plan {
   public:
    bool take(const Item& item) { return plan_.take(*item.transaction, item.request.bytes.size()); }

   private:
    EtcdBatchPlan plan_;
  };

  // Leases are looked up on `executor`, in the background.
  EtcdWrites(EtcdClient& client, EtcdWitness& witness, EtcdLoss& loss, EtcdEpoch& epoch, Clock& clock,
             Executor executor, TaskGroup& background)
      : client_(client),
        witness_(witness),
        loss_(loss),
        epoch_(epoch),
        clock_(clock),
        executor_(executor),
        background_(background),
        own_ranges_(own_ranges(witness)) {}

  // Old versions of etcd don't notice puts nested in a transaction, and let their quota be exceeded: so without space
  // each goes alone, until a put succeeds (R18).
  bool goes_alone(const Item& item) const { return item.large || !item.repeatable || client_.lacks_space(); }
  Task<Answer> send_alone(Item* item, Deadline deadline);
  Task<std::optional<std::vector<Answer>>> send(const std::vector<Item*>* items, Deadline deadline);
  Answer late(const Item& item, bool sent) const {
    // While it is being sent, its fate is being written.
    return {client_.unreachable(), sent ? WriteFate::unknown_may_still_happen : perhaps_not_over(item.fate)};
  }

  // Of many concurrent requests for one key one is sent; if it finds something else there, so do the others.
  static std::string_view look(const Item& item) {
    bool is_batched = !item.large && item.repeatable;
    if (is_batched && !item.looks_for.empty()) return item.looks_for;
    return std::string_view(item.request.bytes).substr(0, is_batched ? item.request.comparing : 0);
  }
  static std::optional<Answer> share(const Answer& answer);

 private:
  using Items = std::vector<Item*>;
  using Response = Result<EtcdNestedResponse>;

  using Looks = std::shared_ptr<EtcdLeaseLooks>;

  static std::string own_ranges(const EtcdWitness& witness);
  EtcdNestedRequest within_epoch(const Items& items, Revision epoch);
  Task<Response> send_in_epoch(const Items* items, bool repeatable, WriteTries* tries, Deadline deadline);
  Task<Answer> send_plain(Item* item, Deadline deadline);
  Looks look_beside(const Items& items, Deadline deadline);

  EtcdClient& client_;
  EtcdWitness& witness_;
  EtcdLoss& loss_;
  EtcdEpoch& epoch_;
  Clock& clock_;
  Executor executor_;
  TaskGroup& background_;
  const std::string own_ranges_;  // what each batch asks if a comparison fails, as it goes over the wire
};

}  // namespace sharedlock
