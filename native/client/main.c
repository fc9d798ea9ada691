#include "client.h"

int main(int count, char **arguments) {
  programName = "tandem-oci";
  callServer(count, arguments, sendCall, beHands);
}
