/** A component that has what no link plan can say: it is for jco. The message names it. */
export class Unlinkable extends Error {
  override readonly name = "Unlinkable";
}
