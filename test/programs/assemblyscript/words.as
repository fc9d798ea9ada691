// The words of standard input by how often they come, what the command line and the environment say, and some numbers.
class Word {
  constructor(
    public text: string,
    public count: i32,
  ) {}
}

function readAll(): string {
  const chunk = new ArrayBuffer(4096);
  let text = new Uint8Array(0);
  for (;;) {
    const got = process.stdin.read(chunk);
    if (got <= 0) break;
    const longer = new Uint8Array(text.length + got);
    longer.set(text);
    longer.set(Uint8Array.wrap(chunk, 0, got), text.length);
    text = longer;
  }
  return String.UTF8.decode(text.buffer);
}

const counts = new Map<string, i32>();
const found = readAll().split(" ");
for (let i = 0; i < found.length; i++) {
  const word = found[i].trim();
  if (word.length > 0) counts.set(word, (counts.has(word) ? counts.get(word) : 0) + 1);
}
const words: Word[] = [];
const keys = counts.keys();
for (let i = 0; i < keys.length; i++) words.push(new Word(keys[i], counts.get(keys[i])));
words.sort((a, b) => (b.count != a.count ? b.count - a.count : a.text < b.text ? -1 : 1));
for (let i = 0; i < words.length; i++) console.log(words[i].count.toString() + " " + words[i].text);

const args = process.argv;
for (let i = 1; i < args.length; i++) console.log("argument " + args[i]);
console.log("NAME " + (process.env.has("NAME") ? process.env.get("NAME") : "is not set"));

let hash: u64 = 14695981039346656037;
for (let i: u64 = 0; i < 1000000; i++) hash = (hash ^ (i & 0xff)) * 1099511628211;
console.log("hash " + hash.toString(16) + ", " + Math.sin(0.5).toString() + ", " + f64(<f32>0.1).toString());
const noise = new Uint8Array(32);
crypto.getRandomValues(noise);
let sum: i32 = 0;
for (let i = 0; i < noise.length; i++) sum += noise[i];
console.log("random " + (sum > 0).toString() + ", date " + (Date.now() > 1700000000000).toString());
process.stderr.write("to stderr\n");
if (args.length > 1 && args[1] == "abort") throw new Error("thrown");
process.exit(args.length > 1 ? I32.parseInt(args[1]) : 0);
