// Unix sockets that carry descriptors, and the zygote's blocking accept. SEQPACKET: one message is one
// request.
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

#ifndef SO_PEERPIDFD
// Linux 6.5; asm-generic, as both of our architectures have it.
constexpr int SO_PEERPIDFD = 77;
#endif

constexpr size_t maxFds = 250;
// Above the kernel's default send buffer; a larger request travels in a memfd.
constexpr size_t maxMessage = 256 * 1024;

struct Message {
  std::vector<char> data;
  std::vector<UniqueFd> fds;
};

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw ErrnoError(ENAMETOOLONG, "connect", path);
  path.copy(address.sun_path, path.size());
  return address;
}

Message receive(int fd, int flags) {
  Message message;
  // A growing buffer costs a page fault per page; the requests of a start are below 4 KiB.
  static thread_local std::array<char, maxMessage> buffer;
  std::array<char, CMSG_SPACE(maxFds * sizeof(int))> control;
  iovec part{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t length = 0;
  do {
    length = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  checked(length, "recvmsg");
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int received = -1;
      memcpy(&received, CMSG_DATA(item) + i * sizeof(int), sizeof received);
      message.fds.emplace_back(received);
    }
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) throw ErrnoError(EMSGSIZE, "recvmsg");
  message.data.assign(buffer.data(), buffer.data() + length);
  // A request holds a container's environment; the zygote's memory is every later child's.
  explicit_bzero(buffer.data(), static_cast<size_t>(length));
  return message;
}

Napi::Object toObject(Napi::Env env, Message message) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("data", Napi::Buffer<char>::Copy(env, message.data.data(), message.data.size()));
  explicit_bzero(message.data.data(), message.data.size());
  Napi::Array fds = Napi::Array::New(env, message.fds.size());
  for (size_t i = 0; i < message.fds.size(); i++) fds[i] = Napi::Number::New(env, message.fds[i].release());
  result.Set("fds", fds);
  return result;
}

Napi::Value sendMessage(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  auto data = info[1].As<Napi::Uint8Array>();
  Napi::Array fds = info[2].As<Napi::Array>();
  if (fds.Length() > maxFds) throw ErrnoError(EMSGSIZE, "sendmsg");
  std::array<char, CMSG_SPACE(maxFds * sizeof(int))> control{};
  iovec part{data.Data(), data.ByteLength()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (const uint32_t count = fds.Length(); count > 0) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (uint32_t i = 0; i < count; i++) {
      const int sent = fds.Get(i).As<Napi::Number>().Int32Value();
      memcpy(CMSG_DATA(item) + i * sizeof(int), &sent, sizeof sent);
    }
  }
  // A peer that went away is an error of this call, not a signal for the process.
  checked(sendmsg(fd, &header, MSG_NOSIGNAL), "sendmsg");
  return info.Env().Undefined();
}

Napi::Value receiveMessage(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::Object options = info[1].As<Napi::Object>();
  if (Napi::Value timeout = options.Get("timeoutMs"); timeout.IsNumber()) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, timeout.As<Napi::Number>().Int32Value()) == 0)
      throw ErrnoError(ETIMEDOUT, "recvmsg");
  }
  try {
    return toObject(info.Env(), receive(fd, options.Get("nonBlocking").ToBoolean() ? MSG_DONTWAIT : 0));
  } catch (const ErrnoError& error) {
    if (error.code().value() == EAGAIN) return info.Env().Undefined();
    throw;
  }
}

Napi::Value socketPair(const Napi::CallbackInfo& info) {
  int fds[2];
  checked(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), "socketpair");
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result[0u] = Napi::Number::New(info.Env(), fds[0]);
  result[1u] = Napi::Number::New(info.Env(), fds[1]);
  return result;
}

Napi::Value makeMemfd(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  auto data = info[1].As<Napi::Uint8Array>();
  UniqueFd fd(checked(memfd_create(name.c_str(), MFD_CLOEXEC), "memfd_create", name));
  size_t written = 0;
  while (written < data.ByteLength())
    written += checked(write(fd.get(), data.Data() + written, data.ByteLength() - written), "write", name);
  return Napi::Number::New(info.Env(), fd.release());
}

Napi::Value makePipe(const Napi::CallbackInfo& info) {
  int fds[2];
  checked(pipe2(fds, O_CLOEXEC), "pipe2");
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result[0u] = Napi::Number::New(info.Env(), fds[0]);
  result[1u] = Napi::Number::New(info.Env(), fds[1]);
  return result;
}

Napi::Value connectTo(const Napi::CallbackInfo& info, int type) {
  const std::string path = info[0].As<Napi::String>();
  const sockaddr_un address = addressOf(path);
  UniqueFd fd(checked(socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
  checked(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect", path);
  return Napi::Number::New(info.Env(), fd.release());
}

Napi::Value connectSeqpacket(const Napi::CallbackInfo& info) {
  return connectTo(info, SOCK_SEQPACKET);
}
Napi::Value connectStream(const Napi::CallbackInfo& info) {
  return connectTo(info, SOCK_STREAM);
}

// Only root may talk to what runs as root: 0600, made so before anyone can connect.
Napi::Value listenOn(const Napi::CallbackInfo& info, int type) {
  const std::string path = info[0].As<Napi::String>();
  const sockaddr_un address = addressOf(path);
  UniqueFd fd(checked(socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
  const mode_t previous = umask(0177);
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  umask(previous);
  if (bound != 0) throw ErrnoError(error, "bind", path);
  checked(listen(fd.get(), SOMAXCONN), "listen", path);
  return Napi::Number::New(info.Env(), fd.release());
}

Napi::Value listenSeqpacket(const Napi::CallbackInfo& info) {
  return listenOn(info, SOCK_SEQPACKET);
}
Napi::Value listenStream(const Napi::CallbackInfo& info) {
  return listenOn(info, SOCK_STREAM);
}

uint64_t effectiveCapabilities(pid_t pid) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, pid};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  checked(static_cast<int>(syscall(SYS_capget, &header, sets)), "capget", std::to_string(pid));
  return sets[0].effective | static_cast<uint64_t>(sets[1].effective) << 32;
}

struct stat userNamespaceOf(const std::string& process) {
  struct stat status {};
  const std::string path = "/proc/" + process + "/ns/user";
  checked(stat(path.c_str(), &status), "stat", path);
  return status;
}

// Of whoever connected, wherever its number has gone meanwhile. Before Linux 6.5 of whoever has it now.
UniqueFd peerProcess(int socket, pid_t pid) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) return UniqueFd(pidfd);
  // EINVAL: before Linux 6.14 of a process that has been reaped; there is nothing else in the call to be
  // wrong.
  if (errno != ENOPROTOOPT) throw ErrnoError(errno == EINVAL ? ESRCH : errno, "getsockopt", "SO_PEERPIDFD");
  return UniqueFd(checked(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), "pidfd_open", ""));
}

// Signal 0 is not sent, but there must be somebody to send it to: as long as there is, the number is its own.
bool isReaped(const UniqueFd& process) {
  return syscall(SYS_pidfd_send_signal, process.get(), 0, nullptr, 0) != 0 && errno == ESRCH;
}

bool hasOurRights(pid_t pid, uint64_t own) {
  if ((own & ~effectiveCapabilities(pid)) != 0) return false;
  const struct stat ours = userNamespaceOf("self"), theirs = userNamespaceOf(std::to_string(pid));
  return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

enum class Verdict { trusted, refused, gone };

struct Peer {
  Verdict verdict;
  UniqueFd process;
};

// Both are said of a process that has been reaped: ESRCH of its number, ENOENT of its directory in /proc.
bool saysGone(const ErrnoError& error) {
  return error.code().value() == ESRCH || error.code().value() == ENOENT;
}

// A uid is not all there is to root: who has fewer capabilities than we, or has them in a user namespace of
// its own only, must not have us do what it could not do itself (a hook, for example). Before Linux 6.5 a
// number that became another's after its peer had asked is taken for the peer's.
Peer judge(int socket, pid_t pid) {
  // Of another pid namespace; and to capget(2) it would be ourselves.
  if (pid <= 0) return {Verdict::refused, {}};
  try {
    const uint64_t own = effectiveCapabilities(0);
    UniqueFd process = peerProcess(socket, pid);
    const bool trusted = own == 0 || hasOurRights(pid, own);
    if (isReaped(process)) return {Verdict::gone, {}};
    return {trusted ? Verdict::trusted : Verdict::refused, std::move(process)};
  } catch (const ErrnoError& error) {
    if (!saysGone(error)) throw;
    return {Verdict::gone, {}};
  }
}

Napi::Object toRequest(Napi::Env env, UniqueFd fd, pid_t peer, Message message) {
  Napi::Object result = toObject(env, std::move(message));
  result.Set("fd", fd.release());
  result.Set("peerPid", peer);
  return result;
}

// That much may be told to whoever asked: it has the uid that it should have.
Napi::Object toUnjudged(Napi::Env env, UniqueFd fd, const ErrnoError& error) {
  Napi::Object result = toRequest(env, std::move(fd), 0, {});
  result.Set("peerError", "cannot look at who asks: " + error.syscall() + " " + error.subject() + ": " +
                              error.code().message());
  return result;
}

Napi::Value acceptRequest(const Napi::CallbackInfo& info) {
  const int listener = info[0].As<Napi::Number>().Int32Value();
  const int timeout = info[1].IsNumber() ? info[1].As<Napi::Number>().Int32Value() : -1;
  const bool wantsPidfd = info[2].IsObject() && info[2].As<Napi::Object>().Get("peerPidfd").ToBoolean();
  for (;;) {
    pollfd waiting{listener, POLLIN, 0};
    const int ready = poll(&waiting, 1, timeout);
    if (ready == 0) return info.Env().Undefined();
    UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      // The peer may be gone again, a signal may have come; only a broken listener is ours to report.
      if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) continue;
      throw ErrnoError(errno, "accept4");
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    checked(getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size), "getsockopt", "SO_PEERCRED");
    // A peer that connects and says nothing must not hold up the others for long.
    timeval patience{2, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (peer.uid != geteuid()) continue;
    Peer judged{};
    try {
      judged = judge(fd.get(), peer.pid);
    } catch (const ErrnoError& error) {
      return toUnjudged(info.Env(), std::move(fd), error);
    }
    if (judged.verdict == Verdict::refused) continue;
    const bool gone = judged.verdict == Verdict::gone;
    try {
      Message message = receive(fd.get(), 0);
      if (message.data.empty()) continue;
      Napi::Object result = toRequest(info.Env(), std::move(fd), gone ? 0 : peer.pid, std::move(message));
      if (wantsPidfd && !gone) result.Set("peerPidfd", judged.process.release());
      return result;
    } catch (const ErrnoError&) {
      continue;  // A request that cannot be read has nobody to answer to.
    }
  }
}

}  // namespace

void exportUnixSocket(Napi::Object exports) {
  exportFunction<sendMessage>(exports, "sendMessage");
  exportFunction<receiveMessage>(exports, "receiveMessage");
  exportFunction<socketPair>(exports, "socketpair");
  exportFunction<makeMemfd>(exports, "memfd");
  exportFunction<makePipe>(exports, "pipe");
  exportFunction<connectSeqpacket>(exports, "connectSeqpacket");
  exportFunction<connectStream>(exports, "connectStream");
  exportFunction<listenSeqpacket>(exports, "listenSeqpacket");
  exportFunction<listenStream>(exports, "listenStream");
  exportFunction<acceptRequest>(exports, "acceptRequest");
}

}  // namespace tandem
