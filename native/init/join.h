#pragma once

namespace tandem {

// Enters the namespaces of a container that container-init's maker opened, if there are any. A pid namespace
// concerns only those born afterwards, and new namespaces are to belong to the user namespace entered; so the
// caller is not the one who returns: it has had a child, told its maker and ended.
//
// Arguments, all decimal: socket, whether the maker is to write the maps of a user namespace, [CLONE_NEW* of
// new namespaces for the newborn, type of each namespace to enter…]. Descriptors behind the socket: the
// namespaces, and the pipe for the report.
void joinNamespaces(int count, char** arguments);

}  // namespace tandem
