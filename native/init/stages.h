#pragma once

#include "init/plan.h"

// One function per step of a plan (steps.h); each is defined in the file named above it.
namespace tandem {

// namespaces.cc
void becomeRoot(Fields& step);
void newTime(Fields& step);
void joinTime(Fields& step, const Plan& plan);
void unshareNamespaces(Fields& step);
void setHost(Fields& step);
void setDomain(Fields& step);
void raiseLoopback(Fields& step);
void writeSysctl(Fields& step);

// mounts.cc
void setPropagation(Fields& step);
void enterRootfs(Fields& step);
void mountFilesystem(Fields& step, const Plan& plan);
void bindMount(Fields& step, const Plan& plan);
void setAttributes(Fields& step);
void maskPath(Fields& step);
void makeSlave(Fields& step);

// root.cc
void changeRoot(Fields& step);
void enterRoot(Fields& step, const Plan& plan);
void unmountTree(Fields& step);

// devices.cc
void makeSymlink(Fields& step);
void makeNode(Fields& step);
void openConsole(Fields& step);

// hooks.cc
void runHook(Fields& step);

// process.cc
void newSession(Fields& step);
void newKeyring();
void setLimit(Fields& step);
void setPersonality(Fields& step);
void setScheduler(Fields& step);
void setIoPriority(Fields& step);
void setAffinity(Fields& step);
void setMemoryPolicy(Fields& step);
void setUmask(Fields& step);
void enterCwd(Fields& step);
void lookUpExecutable(Fields& step);
void reportCreated(Fields& step, const Plan& plan);
[[noreturn]] void execProgram(Fields& step);

// privileges.cc
void setLabel(Fields& step);
void ownStdio(Fields& step);
void dropBounding(Fields& step);
void becomeUser(Fields& step);
void setCapabilities(Fields& step);
void forbidNewPrivileges(Fields& step);
// Marks every descriptor that is not the program's. Once is enough.
void closeAtExec();
void installFilter(Fields& step);

}  // namespace tandem
