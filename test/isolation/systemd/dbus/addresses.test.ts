import { suite } from "uvu";
import * as assert from "uvu/assert";
import { busAddresses } from "../../../../src/isolation/systemd/dbus/addresses.ts";

const addresses = suite("D-Bus addresses");

addresses("are read as libdbus reads them", () => {
  assert.equal(busAddresses("tcp:host=a;unix:path=/run/a%20b,guid=1;unix:abstract=x;unix:tmpdir=/tmp"), [
    { path: "/run/a b", direct: false },
    { path: "\0x", direct: false },
  ]);
});

addresses.run();
