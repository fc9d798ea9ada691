#pragma once

#include <sched.h>

#include <cstdint>

namespace tandem {

// What container-init tells its maker, once, when it has entered the namespaces of a container and had a
// child there.
struct BirthReport {
  // As the maker's pid namespace numbers it; -1 for none.
  int32_t pid;
  int32_t error;
  // CLONE_NEW* of the namespace that could not be entered; 0 when it is the birth that failed.
  int32_t type;
};

// The caller is to hear which one it was.
inline const char* setnsOf(int type) {
  switch (type) {
    case CLONE_NEWNS:
      return "setns mount";
    case CLONE_NEWCGROUP:
      return "setns cgroup";
    case CLONE_NEWUTS:
      return "setns uts";
    case CLONE_NEWIPC:
      return "setns ipc";
    case CLONE_NEWUSER:
      return "setns user";
    case CLONE_NEWPID:
      return "setns pid";
    case CLONE_NEWNET:
      return "setns network";
    default:
      return "setns";
  }
}

}  // namespace tandem
