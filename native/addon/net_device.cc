// Moves a network device between network namespaces, over rtnetlink(7): its addresses would be lost on the
// way and are put on again (runtime-spec, config-linux.md "Network Devices").
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

struct Link {
  int index = 0;
  std::string name;
  bool up = false;
};

struct Attribute {
  uint16_t type = 0;
  std::vector<char> data;
};

struct Address {
  ifaddrmsg header{};
  std::vector<Attribute> attributes;
};

std::vector<Attribute> attributesOf(const void* at, size_t length) {
  std::vector<Attribute> result;
  int left = static_cast<int>(length);
  for (auto* item = static_cast<const rtattr*>(at); RTA_OK(item, left); item = RTA_NEXT(item, left)) {
    const char* data = static_cast<const char*>(RTA_DATA(item));
    result.push_back(
        {static_cast<uint16_t>(item->rta_type & NLA_TYPE_MASK), {data, data + RTA_PAYLOAD(item)}});
  }
  return result;
}

// One request: header, fixed part, attributes. An address has a handful of attributes of a few bytes each.
class Message {
 public:
  template <typename T>
  Message(uint16_t type, uint16_t flags, const T& fixed) : length_(NLMSG_SPACE(sizeof fixed)) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    memcpy(NLMSG_DATA(header()), &fixed, sizeof fixed);
  }

  void add(uint16_t type, const void* data, size_t length) {
    if (RTA_SPACE(length) > sizeof bytes_ - length_) throw ErrnoError(EMSGSIZE, "netlink request");
    auto* attribute = reinterpret_cast<rtattr*>(bytes_ + length_);
    attribute->rta_type = type;
    attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(length));
    memcpy(RTA_DATA(attribute), data, length);
    length_ += RTA_SPACE(length);
  }
  void add(uint16_t type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }

  void sendTo(int socket) {
    header()->nlmsg_len = static_cast<uint32_t>(length_);
    checked(send(socket, bytes_, length_, 0), "send", "netlink request");
  }

 private:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_); }

  alignas(nlmsghdr) char bytes_[2048] = {};
  size_t length_;
};

// A socket belongs to the network namespace it was made in; this thread is back in its own right after.
UniqueFd socketIn(int netns) {
  UniqueFd own(
      checked(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open", "own network namespace"));
  checked(setns(netns, CLONE_NEWNET), "setns", "network namespace");
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const int error = errno;
  checked(setns(own.get(), CLONE_NEWNET), "setns", "own network namespace");
  if (!socket) throw ErrnoError(error, "socket", "NETLINK_ROUTE");
  return socket;
}

// What rtnetlink knows of one network namespace.
class Network {
 public:
  explicit Network(int netns) : netns_(netns), socket_(socketIn(netns)) {}

  std::vector<Link> links() {
    std::vector<Link> result;
    dump(Message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}), [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWLINK) return;
      const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
      Link link{info->ifi_index, "", (info->ifi_flags & IFF_UP) != 0};
      for (const Attribute& attribute : attributesOf(IFLA_RTA(info), IFLA_PAYLOAD(message)))
        if (attribute.type == IFLA_IFNAME) link.name = attribute.data.data();
      result.push_back(std::move(link));
    });
    return result;
  }

  // Those that outlive the move in meaning: permanent and of global scope.
  std::vector<Address> addresses(int index) {
    std::vector<Address> result;
    dump(Message(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}), [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWADDR) return;
      const auto* info = static_cast<const ifaddrmsg*>(NLMSG_DATA(message));
      if (static_cast<int>(info->ifa_index) != index || info->ifa_scope != RT_SCOPE_UNIVERSE) return;
      Address address{*info, attributesOf(IFA_RTA(info), IFA_PAYLOAD(message))};
      if ((flagsOf(address) & IFA_F_PERMANENT) != 0) result.push_back(std::move(address));
    });
    return result;
  }

  void moveTo(const Network& other, int index, const std::string& name) {
    ifinfomsg info{};
    info.ifi_index = index;
    Message message(RTM_NEWLINK, NLM_F_ACK, info);
    // Together: there is no moment at which an unwanted name could collide on the other side.
    message.add(IFLA_IFNAME, name);
    message.add(IFLA_NET_NS_FD, &other.netns_, sizeof other.netns_);
    request(message, "RTM_NEWLINK", name);
  }

  void add(const Address& address, const Link& link, const std::string& oldName) {
    ifaddrmsg info = address.header;
    info.ifa_index = static_cast<unsigned>(link.index);
    info.ifa_flags = 0;
    Message message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, info);
    for (const Attribute& attribute : address.attributes) {
      if (attribute.type == IFA_LABEL) {
        // A label begins with the device's name, and the device may have another now.
        const std::string label = attribute.data.data();
        const bool named = label.compare(0, oldName.size(), oldName) == 0;
        message.add(IFA_LABEL, named ? link.name + label.substr(oldName.size()) : label);
      } else if (attribute.type != IFA_CACHEINFO && attribute.type != IFA_FLAGS) {
        message.add(attribute.type, attribute.data.data(), attribute.data.size());
      }
    }
    const uint32_t flags = flagsOf(address) & lastingFlags;
    message.add(IFA_FLAGS, &flags, sizeof flags);
    request(message, "RTM_NEWADDR", link.name);
  }

  void raise(const Link& link) {
    ifinfomsg info{};
    info.ifi_index = link.index;
    info.ifi_flags = info.ifi_change = IFF_UP;
    Message message(RTM_NEWLINK, NLM_F_ACK, info);
    request(message, "RTM_NEWLINK", link.name + " up");
  }

 private:
  // The others tell of a state that the kernel finds out anew.
  static constexpr uint32_t lastingFlags =
      IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

  static uint32_t flagsOf(const Address& address) {
    uint32_t flags = address.header.ifa_flags;
    for (const Attribute& attribute : address.attributes)
      if (attribute.type == IFA_FLAGS && attribute.data.size() == sizeof flags)
        memcpy(&flags, attribute.data.data(), sizeof flags);
    return flags;
  }

  // Calls back with each message of an answer until its end; throws with the errno that ends it.
  template <typename Each>
  void receive(const char* call, const std::string& subject, Each each) {
    alignas(nlmsghdr) char buffer[65536];
    for (;;) {
      auto left = static_cast<size_t>(checked(recv(socket_.get(), buffer, sizeof buffer, 0), call, subject));
      for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(message, left);
           message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE) return;
        if (message->nlmsg_type != NLMSG_ERROR) {
          each(message);
          continue;
        }
        const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
        if (error != 0) throw ErrnoError(-error, call, subject);
        return;
      }
    }
  }

  void request(Message& message, const char* call, const std::string& subject) {
    message.sendTo(socket_.get());
    receive(call, subject, [](const nlmsghdr*) {});
  }

  template <typename Each>
  void dump(Message message, Each each) {
    message.sendTo(socket_.get());
    receive("netlink dump", "", each);
  }

  int netns_;
  UniqueFd socket_;
};

const Link* find(const std::vector<Link>& links, const std::string& name) {
  const auto found =
      std::find_if(links.begin(), links.end(), [&](const Link& link) { return link.name == name; });
  return found == links.end() ? nullptr : &*found;
}

// The one that was not there before: by its name only the kernel knows it when that is a template.
Link newcomer(const std::vector<Link>& before, const std::vector<Link>& after, const std::string& name) {
  for (const Link& link : after) {
    const bool known =
        std::any_of(before.begin(), before.end(), [&](const Link& old) { return old.index == link.index; });
    if (!known) return link;
  }
  throw ErrnoError(ENODEV, "RTM_GETLINK", name);
}

void settle(Network& network, const Link& link, const std::vector<Address>& addresses,
            const std::string& oldName, bool up) {
  for (const Address& address : addresses) network.add(address, link, oldName);
  if (up) network.raise(link);
}

// (from, to, name, wanted name, whether it is to be up) → {name, wasUp}. Descriptors of network namespaces.
Napi::Value moveNetDevice(const Napi::CallbackInfo& info) {
  const std::string name = info[2].As<Napi::String>();
  const std::string wanted = info[3].As<Napi::String>();
  Network source(info[0].As<Napi::Number>().Int32Value());
  Network target(info[1].As<Napi::Number>().Int32Value());
  const std::vector<Link> links = source.links();
  const Link* link = find(links, name);
  if (link == nullptr) throw ErrnoError(ENODEV, "RTM_GETLINK", name);
  const std::vector<Link> before = target.links();
  // First the check, then the move: the kernel would move the device and only then find the name taken.
  if (find(before, wanted) != nullptr) throw ErrnoError(EEXIST, "RTM_NEWLINK", wanted);
  const std::vector<Address> addresses = source.addresses(link->index);
  // A device that cannot be moved is refused before anything is done to it; one that is moved goes down.
  source.moveTo(target, link->index, wanted);
  const Link moved = newcomer(before, target.links(), wanted);
  try {
    settle(target, moved, addresses, name, info[4].ToBoolean());
  } catch (const ErrnoError&) {
    // Not to be lost with the container that will not be: back to where it was, as it was.
    target.moveTo(source, moved.index, name);
    const std::vector<Link> again = source.links();
    if (const Link* back = find(again, name); back != nullptr)
      settle(source, *back, addresses, name, link->up);
    throw;
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", moved.name);
  result.Set("wasUp", link->up);
  return result;
}

}  // namespace

void exportNetDevice(Napi::Object exports) {
  exportFunction<moveNetDevice>(exports, "moveNetDevice");
}

}  // namespace tandem
