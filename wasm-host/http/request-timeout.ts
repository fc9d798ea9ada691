/** A request has taken longer than it may; the message says at what. */
export class RequestTimeout extends Error {
  override readonly name = "RequestTimeout";
}
