// TCP and UDP sockets of guests. Called for every read and write of a connection, so these functions speak
// plain Node-API and return a number: what the system call did, or minus its errno. No call ever waits.
//
// An address is a Uint8Array of 28 bytes that holds a struct sockaddr_in or sockaddr_in6.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "addon/groups.h"
#include "addon/wasi_guest.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

using wasi::Arguments;
using wasi::Fault;
using wasi::GuestMemory;

constexpr size_t kAddressSize = sizeof(sockaddr_in6);

// The address that JavaScript wrote, with the length that goes with its family.
struct Address {
  sockaddr_storage storage = {};
  socklen_t length;

  explicit Address(const GuestMemory& bytes) {
    memcpy(&storage, bytes.at(0, kAddressSize), kAddressSize);
    length = storage.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Where the kernel writes an address for JavaScript.
struct AddressOut {
  sockaddr* place;
  socklen_t length = kAddressSize;

  explicit AddressOut(const GuestMemory& bytes)
      : place(reinterpret_cast<sockaddr*>(bytes.at(0, kAddressSize))) {}
};

template <typename T>
int32_t resultOf(T result) {
  return result < 0 ? -errno : static_cast<int32_t>(result);
}

// socketOpen(family: 4 or 6, type: 1 stream or 2 datagram)
int32_t openSocket(const Arguments& in) {
  const bool six = in.i32(0) == 6;
  const int type = in.i32(1) == 1 ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd fd(socket(six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return -errno;
  const int on = 1;
  // wasi:sockets: an IPv6 socket is never one for IPv4 too.
  if (six && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) return -errno;
  if (type == SOCK_STREAM) {
    // wasi:sockets: connections in TIME_WAIT must not keep their port from a new listener.
    if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
    // A stream's flush means now; guests have no option to say so.
    if (setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return -errno;
  }
  return fd.release();
}

// socketBind(fd, address)
int32_t bindSocket(const Arguments& in) {
  const Address address(in.memory(1));
  return resultOf(bind(in.i32(0), address.get(), address.length));
}

// socketConnect(fd, address): -EINPROGRESS for a stream, which is writable once it has ended either way.
int32_t connectSocket(const Arguments& in) {
  const Address address(in.memory(1));
  return resultOf(connect(in.i32(0), address.get(), address.length));
}

// socketDisconnect(fd): a datagram socket forgets its peer.
int32_t disconnectSocket(const Arguments& in) {
  const sockaddr nobody = {AF_UNSPEC, {}};
  return resultOf(connect(in.i32(0), &nobody, sizeof nobody));
}

// socketListen(fd, backlog)
int32_t listenSocket(const Arguments& in) {
  return resultOf(listen(in.i32(0), in.i32(1)));
}

// socketAccept(fd, peer)
int32_t acceptSocket(const Arguments& in) {
  AddressOut peer(in.memory(1));
  return resultOf(accept4(in.i32(0), peer.place, &peer.length, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

// socketAddress(fd, out)
int32_t localAddress(const Arguments& in) {
  AddressOut address(in.memory(1));
  return resultOf(getsockname(in.i32(0), address.place, &address.length));
}

// socketPeer(fd, out)
int32_t peerAddress(const Arguments& in) {
  AddressOut address(in.memory(1));
  return resultOf(getpeername(in.i32(0), address.place, &address.length));
}

// socketShutdown(fd, how): 0 receiving, 1 sending, 2 both
int32_t shutdownSocket(const Arguments& in) {
  return resultOf(shutdown(in.i32(0), in.i32(1)));
}

// socketReceive(fd, buffer, length): 0 at the end.
int32_t receive(const Arguments& in) {
  const size_t length = in.u32(2);
  return resultOf(recv(in.i32(0), in.memory(1).at(0, length), length, MSG_DONTWAIT));
}

// socketReceiveFrom(fd, buffer, length, peer)
int32_t receiveFrom(const Arguments& in) {
  const size_t length = in.u32(2);
  AddressOut peer(in.memory(3));
  return resultOf(
      recvfrom(in.i32(0), in.memory(1).at(0, length), length, MSG_DONTWAIT, peer.place, &peer.length));
}

// socketSend(fd, bytes, offset, length). A peer that is gone is EPIPE and no signal.
int32_t sendBytes(const Arguments& in) {
  const size_t length = in.u32(3);
  const uint8_t* bytes = in.memory(1).at(in.u32(2), length);
  return resultOf(send(in.i32(0), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT));
}

// socketSendTo(fd, bytes, length, address)
int32_t sendTo(const Arguments& in) {
  const size_t length = in.u32(2);
  const Address address(in.memory(3));
  return resultOf(sendto(in.i32(0), in.memory(1).at(0, length), length, MSG_NOSIGNAL | MSG_DONTWAIT,
                         address.get(), address.length));
}

// The options that guests can reach, by the numbers of wasm-host/network/socket-option.ts.
struct Option {
  int level;
  int name;
};
constexpr Option kOptions[] = {
    {SOL_SOCKET, SO_ERROR},
    {SOL_SOCKET, SO_KEEPALIVE},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {SOL_SOCKET, SO_RCVBUF},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_TYPE},
    {SOL_SOCKET, SO_ACCEPTCONN},
};

const Option* optionOf(uint32_t index) {
  return index < sizeof kOptions / sizeof kOptions[0] ? &kOptions[index] : nullptr;
}

// socketOption(fd, option)
int32_t getOption(const Arguments& in) {
  const Option* option = optionOf(in.u32(1));
  if (option == nullptr) return -ENOPROTOOPT;
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(in.i32(0), option->level, option->name, &value, &length) < 0) return -errno;
  return value;
}

// socketSetOption(fd, option, value)
int32_t setOption(const Arguments& in) {
  const Option* option = optionOf(in.u32(1));
  if (option == nullptr) return -ENOPROTOOPT;
  const int value = in.i32(2);
  return resultOf(setsockopt(in.i32(0), option->level, option->name, &value, sizeof value));
}

template <int32_t (*Function)(const Arguments&)>
napi_value callSocket(napi_env env, napi_callback_info info) {
  int32_t result;
  try {
    result = Function(Arguments(env, info));
  } catch (const Fault&) {
    result = -EFAULT;
  }
  napi_value value = nullptr;
  napi_create_int32(env, result, &value);
  return value;
}

template <int32_t (*Function)(const Arguments&)>
void exportSocketCall(Napi::Object exports, const char* name) {
  napi_value function = nullptr;
  napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, callSocket<Function>, nullptr, &function);
  napi_set_named_property(exports.Env(), exports, name, function);
}

}  // namespace

void exportSocket(Napi::Object exports) {
  exportSocketCall<openSocket>(exports, "socketOpen");
  exportSocketCall<bindSocket>(exports, "socketBind");
  exportSocketCall<connectSocket>(exports, "socketConnect");
  exportSocketCall<disconnectSocket>(exports, "socketDisconnect");
  exportSocketCall<listenSocket>(exports, "socketListen");
  exportSocketCall<acceptSocket>(exports, "socketAccept");
  exportSocketCall<localAddress>(exports, "socketAddress");
  exportSocketCall<peerAddress>(exports, "socketPeer");
  exportSocketCall<shutdownSocket>(exports, "socketShutdown");
  exportSocketCall<receive>(exports, "socketReceive");
  exportSocketCall<receiveFrom>(exports, "socketReceiveFrom");
  exportSocketCall<sendBytes>(exports, "socketSend");
  exportSocketCall<sendTo>(exports, "socketSendTo");
  exportSocketCall<getOption>(exports, "socketOption");
  exportSocketCall<setOption>(exports, "socketSetOption");
}

}  // namespace tandem
